// The adapter is restarted in the middle of a conversation of official clients: nobody has to reload.

import assert from 'node:assert/strict';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { PythonClient, WebClient, adapterIsThere, launchBrowser, startAdapter, startPlayground } from './support.mjs';

let playground, browser, ann, eve, state, adapter;

/** Starts an adapter and awaits that it serves, the room included. */
async function start(from = playground.process.lines.list.length, isRoomOpen = true) {
  adapter = startAdapter(playground, ['--state', state]);
  await adapterIsThere(playground.process, from);
  if (isRoomOpen) await playground.process.line(/^data {5}← .*\|SUB\|V/, from);
}

before(async () => {
  playground = await startPlayground({ args: ['--no-adapter'] });
  state = join(await mkdtemp(join(tmpdir(), 'state-')), 'sessions');
  await start(0, false);
  browser = await launchBrowser();
  ann = new PythonClient(playground.url);
  eve = await WebClient.open(browser, playground.url);
  for (const client of [ann, eve]) {
    await client.status('CONNECTED:WS-STREAMING');
    await client.join();
  }
});

after(async () => {
  for (const client of [ann, eve]) await client?.end();
  await browser?.close();
  await adapter?.end();
  await playground?.process.end();
});

for (const signal of ['SIGTERM', 'SIGKILL']) {
  test(`sessions go on after ${signal}, and the next person sees what was said`, async () => {
    const texts = ['Ann', 'Eve'].flatMap((name) => [`${name} before ${signal}`, `${name} after ${signal}`]);
    await ann.say(texts[0]);
    await eve.say(texts[2]);
    for (const client of [ann, eve]) for (const text of [texts[0], texts[2]]) await client.update(text);
    const marks = [ann.position, eve.position];
    const from = playground.process.lines.list.length;
    await adapter.end(signal);
    for (const side of ['metadata', 'data']) await playground.process.line(new RegExp(`^\\* ${side}: the adapter is gone`), from);
    await start(from);
    await ann.say(texts[1]);
    await eve.say(texts[3]);
    for (const client of [ann, eve]) for (const text of [texts[1], texts[3]]) await client.update(text);
    for (const [at, client] of [ann, eve].entries()) {
      const since = client.events.list.slice(marks[at]);
      assert.deepEqual(since.filter((event) => event.kind === 'outcome' && event.outcome !== 'processed'), []);
      assert.deepEqual(since.filter((event) => event.kind === 'status'), []);
    }
    const late = new PythonClient(playground.url);
    try {
      await late.status('CONNECTED:WS-STREAMING');
      await late.join();
      for (const text of texts) assert.ok(late.texts().includes(text), `${text} in ${late.texts()}`);
    } finally {
      await late.end();
    }
  });
}

test('who comes while no adapter is there gets in by itself, and what is said meanwhile is refused', async () => {
  const from = playground.process.lines.list.length;
  await adapter.end();
  for (const side of ['metadata', 'data']) await playground.process.line(new RegExp(`^\\* ${side}: the adapter is gone`), from);
  const marks = [ann.position, eve.position];
  const newcomers = [];
  try {
    // Each is refused once at least before there is an adapter.
    newcomers.push(new PythonClient(playground.url));
    await newcomers[0].status('DISCONNECTED:WILL-RETRY');
    newcomers.push(await WebClient.open(browser, playground.url));
    await newcomers[1].status('DISCONNECTED:WILL-RETRY');
    for (const [at, client] of [ann, eve].entries()) {
      await client.say('in the gap');
      // The reason is in the line from the server; official clients hand on those of negative codes only.
      assert.equal((await client.outcome('CHAT|in the gap', marks[at])).outcome, 'error');
    }
    await start(from);
    for (const client of newcomers) {
      await client.status('CONNECTED:WS-STREAMING');
      await client.join();
      assert.deepEqual(client.events.list.filter((event) => event.kind === 'error'), []);
    }
    await newcomers[1].say('I waited');
    for (const client of [ann, eve, ...newcomers]) {
      await client.update('I waited');
      assert.ok(!client.texts().includes('in the gap'));
    }
    for (const [at, client] of [ann, eve].entries()) {
      assert.deepEqual(client.events.list.slice(marks[at]).filter((event) => event.kind === 'status'), []);
    }
  } finally {
    for (const client of newcomers) await client.end();
  }
});
