// The playground as a program: its terminal client, its mistakes, its end.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Process, PythonClient, startPlayground } from './support.mjs';

const { PLAYGROUND, PYTHON } = process.env;
const ANY = ['--http', '0', '--metadata_rrport', '0', '--data_rrport', '0'];

test('what is typed in the terminal is sent, and what others say is shown', async () => {
  const terminal = new Process(PLAYGROUND, ['--terminal', ...ANY], { stdin: 'pipe' });
  const url = /http:\S+/.exec(await terminal.line(/http:/))[0];
  await terminal.line(/^\* in the room/);
  const ann = new PythonClient(url);
  try {
    await ann.status('CONNECTED:WS-STREAMING');
    await ann.join();
    terminal.child.stdin.write('50% + a|b è\n');
    assert.equal((await ann.update('50% + a|b è')).nick, 'playground terminal');
    await terminal.line(/^\d\d:\d\d:\d\d 127\.0\.0\.1 playground terminal \| 50% \+ a\|b è$/);
    await ann.say('an \u001b[31mescape\u001b[0m');
    await terminal.line(/\| an \\u\{1b\}\[31mescape\\u\{1b\}\[0m$/);
    terminal.child.stdin.end();
    assert.deepEqual(await terminal.ended, { code: 0, signal: null });
  } finally {
    await ann.end();
    await terminal.end();
  }
});

test('on a real terminal one\'s own line appears once, spaces are not sent, and Ctrl-C is quiet', async () => {
  const spawn = 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))';
  const terminal = new Process(PYTHON, ['-c', spawn, PLAYGROUND, '--terminal', ...ANY], { stdin: 'pipe' });
  try {
    const url = /http:\S+\//.exec(await terminal.line(/http:/))[0];
    await terminal.line(/^\* in the room/);
    const ann = new PythonClient(url);
    await ann.status('CONNECTED:WS-STREAMING');
    await ann.join();
    terminal.child.stdin.write('once and no more\n   \nlast\n');
    await ann.update('last');
    assert.deepEqual(ann.texts(), ['once and no more', 'last']);
    await ann.say('heard');
    await terminal.line(/ \| heard/);
    await ann.end();
    const from = terminal.lines.list.length;
    terminal.child.stdin.write('\x03');
    assert.deepEqual(await terminal.ended, { code: 0, signal: null });
    const lines = terminal.lines.list.map((line) => line.trimEnd());
    assert.equal(lines.filter((line) => line.includes('once and no more')).length, 1);
    assert.deepEqual(lines.slice(from), ['^C* the playground has ended']);
  } finally {
    await terminal.end();
  }
});

test('what is piped in has arrived when the playground ends', async () => {
  const terminal = new Process(PLAYGROUND, ['--terminal', ...ANY], { stdin: 'pipe' });
  terminal.child.stdin.end('one\ntwo\n\nthree\n');
  assert.deepEqual(await terminal.ended, { code: 0, signal: null });
  const said = terminal.lines.list.filter((line) => line.includes(' | ')).map((line) => line.split(' | ')[1]);
  assert.deepEqual(said, ['one', 'two', 'three']);
});

test('the last line says what to open, and no line of the wire comes unasked', async () => {
  const playground = new Process(PLAYGROUND, ANY);
  try {
    const invitation = await playground.line(/^Open http/);
    assert.match(invitation, /^Open http:\/\/127\.0\.0\.1:\d+\/ in two windows$/);
    const { list } = playground.lines;
    assert.equal(list.at(-1), invitation);
    assert.ok(list.every((line) => line === invitation || line.startsWith('* ')));
  } finally {
    await playground.end();
  }
});

test('a port in use is named, with the option that chooses another', async () => {
  const first = await startPlayground();
  try {
    for (const [option, port] of [['http', first.http], ['metadata_rrport', first.metadata], ['data_rrport', first.data]]) {
      const second = new Process(PLAYGROUND, [...ANY, `--${option}`, `${port}`]);
      assert.deepEqual(await second.ended, { code: 1, signal: null });
      assert.equal(second.lines.list.length, 1);
      assert.match(second.lines.list[0], new RegExp(`127\\.0\\.0\\.1:${port}: .*in use.*--${option}`));
    }
  } finally {
    await first.process.end();
  }
});

test('Ctrl-C ends it, and the adapter was told that its sessions are over', async () => {
  const playground = await startPlayground();
  const ann = new PythonClient(playground.url);
  await ann.status('CONNECTED:WS-STREAMING');
  await ann.join();
  assert.deepEqual(await playground.process.end('SIGINT'), { code: 0, signal: null });
  const lines = playground.process.lines.list;
  assert.ok(lines.some((line) => /^metadata ← .*\|NSC\|V/.test(line)));
  assert.ok(lines.some((line) => /^data {5}← .*\|USB\|V/.test(line)));
  assert.ok(lines.includes('* the playground has ended'));
  await ann.end();
});

test('whatever ends it, it says no more than that', async () => {
  for (const mode of [[], ['--terminal']]) {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
      const playground = new Process(PLAYGROUND, [...mode, ...ANY], { stdin: 'pipe' });
      await playground.line(mode.length ? /^\* in the room/ : /^Open http/);
      const from = playground.lines.list.length;
      assert.deepEqual(await playground.end(signal), { code: 0, signal: null });
      assert.deepEqual(playground.lines.list.slice(from), ['* the playground has ended'], `${mode} ${signal}`);
    }
  }
});

test('--help says what it is, and a wrong option is named', async () => {
  const help = new Process(PLAYGROUND, ['--help']);
  assert.equal((await help.ended).code, 0);
  assert.ok(help.lines.list.some((line) => /development tool/.test(line)));
  const wrong = new Process(PLAYGROUND, ['--nonsense']);
  assert.equal((await wrong.ended).code, 2);
  assert.match(wrong.lines.list[0], /--nonsense/);
  const port = new Process(PLAYGROUND, ['--http', '99999']);
  assert.equal((await port.ended).code, 2);
  assert.match(port.lines.list[0], /--http: "99999"/);
});
