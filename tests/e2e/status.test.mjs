// What the playground's page says of the adapter: by the status item where the server has it, and without it.

import assert from 'node:assert/strict';
import { createServer, connect } from 'node:net';
import { after, afterEach, before, test } from 'node:test';
import { Script, arrived, closePages, connected, openPage, say, settled, state, update } from './page.mjs';
import { adapterIsThere, launchBrowser, startAdapter, startPlayground } from './support.mjs';

let browser, playground;

before(async () => {
  browser = await launchBrowser();
  playground = await startPlayground({ args: ['--no-adapter'] });
});

after(async () => {
  await browser?.close();
  await playground?.process.end();
});

afterEach(closePages);

const open = (options) => openPage(browser, { url: playground.url, ...options });

/** A port in front of another one, which can be cut off. */
class Relay {
  #sockets = new Set();
  #isOpen = true;

  static async to(port) {
    const relay = new Relay();
    relay.server = createServer((socket) => {
      if (!relay.#isOpen) { socket.destroy(); return; }
      const other = connect(port, '127.0.0.1');
      for (const [from, to] of [[socket, other], [other, socket]]) {
        relay.#sockets.add(from);
        from.on('error', () => {}).on('close', () => { relay.#sockets.delete(from); to.destroy(); }).pipe(to);
      }
    });
    await new Promise((listening) => relay.server.listen(0, '127.0.0.1', listening));
    relay.port = relay.server.address().port;
    return relay;
  }

  cut() {
    this.#isOpen = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend() { this.#isOpen = true; }

  end() {
    this.cut();
    this.server.close();
  }
}

test('a message refused for want of the metadata connection says "cannot send now", until one is sent', async () => {
  const relay = await Relay.to(playground.metadata);
  const adapter = startAdapter({ ...playground, metadata: relay.port });
  try {
    await adapterIsThere(playground.process);
    const page = await open();
    let from = playground.process.lines.list.length;
    relay.cut();
    await playground.process.line(/^\* metadata: the adapter is gone/, from);
    await connected(page);
    await say(page, 'one way only');
    await page.getByRole('group').getByText('Not sent: The Remote Adapter is not connected.').waitFor();
    await state(page, /^Connected, but cannot send now: try again\.$/);
    from = playground.process.lines.list.length;
    relay.mend();
    await playground.process.line(/^\* metadata: ARI .* agreed/, from);
    await state(page, /^Connected, but cannot send now: try again\.$/);
    await page.getByRole('button', { name: 'Send again' }).click();
    await arrived(page, 'one way only');
    await settled(page);
    await connected(page);
    assert.deepEqual(page.problems, []);
  } finally {
    await adapter.end();
    relay.end();
  }
});

test('where there is no status item the page does without, silently', async () => {
  for (const status of ['REQERR,2,21,there is no such item', 'SUBOK,2,1,1', null]) {
    const script = new Script({ status });
    const page = await open({ script });
    await script.frames.next('the subscription to the status', (frame) => frame.includes('LS_group=chat_status&'));
    await say(page, 'hello');
    const { number } = await script.message();
    script.tell(update('hello', { agent: await page.evaluate(() => navigator.userAgent) }), `MSGDONE,*,${number},`);
    await settled(page);
    await connected(page);
    assert.equal(await page.getByRole('alert').textContent(), '');
    assert.deepEqual(page.problems, []);
    await closePages();
  }
});

test('each state of the data connection is told when it comes', async () => {
  const script = new Script({ status: 'U,2,1,connecting' });
  const page = await open({ script, isConnected: false });
  await state(page, /^The adapter is not there yet: nobody can send\.$/);
  script.tell('U,2,1,connected');
  await connected(page);
  assert.equal(await page.locator('.rule').count(), 0);
  for (let times = 1; times <= 2; times += 1) {
    script.tell('U,2,1,reconnecting');
    await state(page, /^The adapter is away: nobody can send\.$/);
    script.tell('U,2,1,connected');
    await connected(page);
    await page.waitForFunction((times) => document.querySelectorAll('.rule').length === times, times);
    assert.match(await page.locator('.rule').last().textContent(), /^The adapter was away\. It came back at \d\d:\d\d\.$/);
  }
  // A refusal while both connections are away is told by the one that tells by itself.
  script.tell('U,2,1,reconnecting');
  await say(page, 'now?');
  script.tell(`MSGFAIL,*,${(await script.message()).number},34,No`);
  await page.getByRole('group').getByText('Not sent: No.').waitFor();
  await state(page, /^The adapter is away: nobody can send\.$/);
  script.tell('U,2,1,connected');
  await connected(page);
  // What was known of a server is not told of the next one: neither that its adapter is away, nor that it came back.
  for (const status of ['U,2,1,connecting', 'U,2,1,connected', null]) {
    script.tell('U,2,1,reconnecting');
    await state(page, /^The adapter is away/);
    script.status = status;
    await script.breakOff();
    if (status?.endsWith('connecting')) {
      await state(page, /^The adapter is not there yet/);
      script.tell('U,2,1,connected');
    }
    await connected(page);
  }
  assert.equal(await page.locator('.rule').count(), 3);
  // Nor that it takes no messages: who let the page in can be asked.
  const from = script.frames.list.length;
  await say(page, 'and now?');
  script.tell(`MSGFAIL,*,${(await script.message(from)).number},34,No`);
  await state(page, /^Connected, but cannot send now: try again\.$/);
  await script.breakOff();
  await connected(page);
  assert.deepEqual(page.problems, []);
});
