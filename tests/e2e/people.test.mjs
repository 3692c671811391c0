// Who is who on the playground's page, and when somebody said something.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Script, arrived, box, closePages, connected, message, openPage, say, settled, texts, update } from './page.mjs';
import { launchBrowser, startPlayground } from './support.mjs';

let browser, playground;

before(async () => {
  browser = await launchBrowser();
  playground = await startPlayground();
});

after(async () => {
  await browser?.close();
  await playground?.process.end();
});

afterEach(closePages);

const open = (options) => openPage(browser, { url: playground.url, timezoneId: 'UTC', ...options });
const NOON = Date.UTC(2026, 10, 25, 12);
const at = (hours, minutes, seconds) => NOON + ((hours * 60 + minutes) * 60 + seconds) * 1000;
const agentOf = (page) => page.evaluate(() => navigator.userAgent);

/** What stands above each message, where something does. */
const heads = (page) => page.locator('#log .message').evaluateAll((all) => all.map((one) => {
  if (one.classList.contains('more')) return null;
  return [...one.querySelectorAll('.you, .name, time')].filter((part) => part.getClientRects().length).map((part) => part.textContent).join(', ');
}));
/** Whose each message is, by the side at which it stands. */
const sides = (page) => page.locator('#log .message').evaluateAll((all) => all.map((one) => {
  const [row, text] = [one, one.querySelector('.text')].map((part) => part.getBoundingClientRect());
  return row.right - text.right < 1 && text.left - row.left > 60 ? 'own' : 'other';
}));

test('of two windows of one browser, each knows its own messages', async () => {
  const one = await open();
  const two = await open({ context: one.context() });
  await say(one, 'from one');
  await arrived(two, 'from one');
  await say(two, 'from two');
  await arrived(one, 'from two');
  // The same words from both windows.
  for (const page of [one, two]) {
    await say(page, 'the same');
    await settled(page);
  }
  for (const page of [one, two]) await page.waitForFunction(() => document.querySelectorAll('#log .message').length === 4);
  assert.deepEqual(await sides(one), ['own', 'other', 'own', 'other']);
  assert.deepEqual(await sides(two), ['other', 'own', 'other', 'own']);
  assert.match((await heads(one))[0], /^You, /);
  assert.match((await heads(one))[1], /^Chrome /);
  assert.match((await heads(two))[0], /^Chrome /);
  // It is in the tree of accessibility, too.
  await message(one, 'from one').getByText('You', { exact: true }).waitFor();
  assert.equal(await message(two, 'from one').getByText('You', { exact: true }).isVisible(), false);
  // Everybody knows the own address, and can see it.
  const address = message(one, 'from one').locator('.ip');
  assert.equal(await address.isVisible(), false);
  await one.getByRole('button', { name: 'Details' }).click();
  await address.waitFor();
  // A reload forgets nothing of it.
  await one.reload();
  await connected(one);
  await arrived(one, 'from two');
  assert.deepEqual((await sides(one)).slice(-4), ['own', 'other', 'own', 'other']);
  assert.deepEqual([...one.problems, ...two.problems], []);
});

test('a run of messages ends where the speaker or the minute changes', async () => {
  const script = new Script();
  const page = await open({ script, now: NOON });
  const agent = await agentOf(page);
  await say(page, 'mine');
  const { number } = await script.message();
  script.tell(
    update('a', { at: at(0, 0, 5) }), update('b', { at: at(0, 0, 59) }), update('c', { at: at(0, 1, 0) }),
    update('d', { at: at(0, 1, 1), ip: '192.0.2.8' }), update('e', { at: at(0, 1, 2), agent, ip: '192.0.2.8' }),
    update('mine', { at: at(0, 1, 3), agent, ip: '192.0.2.8' }), `MSGDONE,*,${number},`,
    update('f', { at: at(0, 1, 4), agent, ip: '192.0.2.8' }), update('g', { at: at(0, 1, 5), agent, ip: '192.0.2.8' }));
  await arrived(page, 'g');
  const [name] = await page.evaluate(() => [...document.querySelectorAll('.name')].at(-1).textContent.split('\n'));
  assert.deepEqual(await heads(page), ['Someone/1.0, 12:00', null, 'Someone/1.0, 12:01', 'Someone/1.0, 12:01', `${name}, 12:01`, 'You, 12:01', `${name}, 12:01`, null]);
  await settled(page);
  // Who cannot see that a message goes on hears who it is from, and when.
  assert.match(await message(page, 'b').locator('.who').innerText(), /Someone.*12:00/s);
});

test('what another window said while a message of the same words was refused is not taken for it', async () => {
  const script = new Script();
  const page = await open({ script });
  await say(page, 'hello');
  const { number } = await script.message();
  const another = update('hello', { agent: await agentOf(page) });
  script.tell(another);
  await arrived(page, 'hello');
  script.tell(`MSGFAIL,*,${number},34,Not now`);
  await page.getByRole('group').getByText('Not sent: Not now.').waitFor();
  assert.deepEqual(await sides(page), ['other']);
  // The refused one is none that the room could show.
  script.tell(update('hello', { agent: await agentOf(page) }));
  await page.waitForFunction(() => document.querySelectorAll('#log .message').length === 2);
  assert.deepEqual(await sides(page), ['other', 'other']);
  assert.equal(await page.locator('.unsent').count(), 1);
  // Nor is it after a reload.
  const from = script.frames.list.length;
  await script.breakOff([another, 'EOS,1,1']);
  await script.frames.next('another session', (frame) => frame.startsWith('create_session'), from);
  await page.reload();
  await arrived(page, 'hello');
  assert.deepEqual(await sides(page), ['other']);
});

test('the words of somebody with another browser are never one\'s own', async () => {
  const script = new Script();
  const page = await open({ script });
  await say(page, 'hello');
  const { number } = await script.message();
  script.tell(update('hello'), update('hello', { agent: await agentOf(page) }), `MSGDONE,*,${number},`);
  await settled(page);
  assert.deepEqual(await sides(page), ['other', 'own']);
});

test('a message whose outcome was lost with the connection is found in the history', async () => {
  const script = new Script();
  const page = await open({ script });
  await say(page, 'am I there?');
  await script.message();
  await script.breakOff([update('am I there?', { agent: await agentOf(page) }), 'EOS,1,1']);
  await arrived(page, 'am I there?');
  await settled(page);
  assert.deepEqual(await sides(page), ['own']);
  await connected(page);
});

test('the exact time of a message is shown on hover, on focus and on a long press', async () => {
  const yesterday = [update('old', { at: at(-20, 0, 7) }), update('new', { at: at(-1, 30, 8) }), update('newer', { at: at(-1, 30, 9) }), 'EOS,1,1'];
  const script = new Script({ history: yesterday });
  const page = await open({ script, now: NOON, hasTouch: true });
  await arrived(page, 'newer');
  assert.deepEqual(await heads(page), ['Someone/1.0, 16:00', 'Someone/1.0, 11:30', null]);
  const rules = await page.locator('.rule').allTextContents();
  assert.deepEqual(rules.map((rule) => rule.replace(',', '')), ['Tuesday 24 November 2026', 'Wednesday 25 November 2026', 'You have been here since 12:00.']);
  const exact = page.locator('#exact');
  const shows = (text) => exact.filter({ hasText: new RegExp(`^${text}$`), visible: true }).waitFor();
  await message(page, 'newer').hover();
  await shows('11:30:09');
  await message(page, 'old').hover();
  await shows('24 Nov 2026, 16:00:07');
  await page.getByRole('button', { name: 'Send', exact: true }).hover();
  await exact.waitFor({ state: 'hidden' });
  // From the room, upwards and downwards.
  await page.getByRole('region', { name: 'Chat room' }).focus();
  for (const [key, text] of [['ArrowUp', '11:30:09'], ['ArrowUp', '11:30:08'], ['ArrowUp', '24 Nov 2026, 16:00:07'], ['ArrowDown', '11:30:08']]) {
    await page.keyboard.press(key);
    await shows(text);
  }
  // It is in the message, which has the focus, and goes where that goes.
  const isInFocus = () => exact.evaluate((one) => document.activeElement.matches('.message') && document.activeElement.contains(one));
  assert.ok(await isInFocus());
  const distance = async () => (await exact.boundingBox()).y - (await message(page, 'new').boundingBox()).y;
  const before = await distance();
  await page.setViewportSize({ width: 320, height: 400 });
  script.tell(update('what comes moves it'));
  await arrived(page, 'what comes moves it');
  assert.ok(await isInFocus());
  assert.equal(await distance(), before);
  await page.setViewportSize({ width: 1280, height: 720 });
  await box(page).focus();
  await exact.waitFor({ state: 'hidden' });
  // The finger stays where it is until the time is there.
  const touch = await page.context().newCDPSession(page);
  const { x, y, width, height } = await message(page, 'old').locator('.text').boundingBox();
  await touch.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: [{ x: x + width / 2, y: y + height / 2 }] });
  await shows('24 Nov 2026, 16:00:07');
  await touch.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
  await box(page).tap();
  await exact.waitFor({ state: 'hidden' });
  assert.deepEqual(page.problems, []);
});

test('at midnight another day begins, and what was said today was said yesterday', async () => {
  const script = new Script();
  const page = await open({ script, now: NOON });
  script.tell(update('late', { at: at(11, 59, 58) }));
  await arrived(page, 'late');
  assert.equal(await page.locator('.rule').count(), 0);
  const exact = page.locator('#exact');
  await message(page, 'late').hover();
  await exact.filter({ hasText: /^23:59:58$/, visible: true }).waitFor();
  await page.clock.setFixedTime(at(12, 0, 1));
  script.tell(update('early', { at: at(12, 0, 1) }));
  await arrived(page, 'early');
  assert.deepEqual((await page.locator('.rule').allTextContents()).map((rule) => rule.replace(',', '')), ['Thursday 26 November 2026']);
  await message(page, 'early').hover();
  await exact.filter({ hasText: /^00:00:01$/, visible: true }).waitFor();
  await message(page, 'late').hover();
  await exact.filter({ hasText: /^25 Nov 2026, 23:59:58$/, visible: true }).waitFor();
});

test('a message without a time that one could read is shown all the same', async () => {
  const script = new Script();
  const page = await open({ script });
  script.tell('U,1,1,no time|192.0.2.7|Someone/1.0|12:34:56|#', 'U,1,1,nonsense||||x', 'U,1,1,too far||||9e99');
  await arrived(page, 'too far');
  assert.deepEqual(await heads(page), ['Someone/1.0, 12:34:56', null, null]);
  await message(page, 'nonsense').hover();
  await page.locator('#exact').filter({ hasText: '12:34:56', visible: true }).waitFor();
  assert.deepEqual(await texts(page), ['no time', 'nonsense', 'too far']);
  assert.deepEqual(page.problems, []);
});
