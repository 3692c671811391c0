// Tells at the end, on one line, how many tests passed and how many did not.

export default async function* summary(events) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for await (const { type, data } of events) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    if (data.details?.type === 'suite') continue;
    if (data.skip !== undefined) counts.skipped += 1;
    else counts[type === 'test:pass' ? 'passed' : 'failed'] += 1;
  }
  yield `end-to-end: ${counts.passed} passed, ${counts.failed} failed\n`;
}
