// The playground with several servers: one room, and windows that say which server they are on.

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { after, afterEach, before, test } from 'node:test';
import { arrived, closePages, connected, openPage, say, settled, state, texts } from './page.mjs';
import { Process, launchBrowser } from './support.mjs';

const { PLAYGROUND, ADAPTER, SCREENSHOTS } = process.env;
const TWO = ['--servers', '2', '--http', '0', '--metadata_rrport', '0', '--data_rrport', '0'];

let browser;

before(async () => { browser = await launchBrowser(); });
after(() => browser?.close());
afterEach(closePages);

const urls = (line) => line.match(/http:\S+\//g);
const open = (url, options) => openPage(browser, { url, ...options });
const named = (page, name) => page.getByRole('banner').getByText(name, { exact: true }).waitFor();

test('windows on two servers hear each other, and each says which one it is on', async () => {
  const playground = new Process(PLAYGROUND, TWO);
  try {
    const invitation = await playground.line(/^Open http/);
    assert.match(invitation, /^Open http:\S+\/ and http:\S+\/ in two windows$/);
    assert.equal(playground.lines.list.at(-1), invitation);
    const [first, second] = await Promise.all(urls(invitation).map((url) => open(url)));
    await named(first, 'Server 1 of 2');
    await named(second, 'Server 2 of 2');
    for (const [from, to, text] of [[first, second, 'to the second server'], [second, first, 'to the first server']]) {
      await say(from, text);
      await arrived(to, text);
      await settled(from);
    }
    for (const page of [first, second]) {
      assert.deepEqual(await texts(page), ['to the second server', 'to the first server']);
      assert.equal(await page.locator('.message.own').count(), 1);
    }
    if (SCREENSHOTS) await mkdir(SCREENSHOTS, { recursive: true });
    for (const width of [320, 390, 1280]) {
      await second.setViewportSize({ width, height: 720 });
      // All of it is to be read, on a phone as well.
      const isWhole = await second.getByText('Server 2 of 2', { exact: true }).evaluate((one) => one.scrollWidth <= one.clientWidth);
      assert.ok(isWhole, `${width} wide`);
      if (SCREENSHOTS) await second.screenshot({ path: `${SCREENSHOTS}/server-2-of-2-${width}.png` });
    }
    assert.deepEqual([...first.problems, ...second.problems], []);
  } finally {
    await playground.end();
  }
});

test('the command line that the playground says connects an adapter to all its servers', async () => {
  const playground = new Process(PLAYGROUND, [...TWO, '--no-adapter']);
  const adapters = [];
  try {
    const waiting = await playground.line(/^\* Waiting for an adapter: /);
    const [first, second] = await Promise.all(urls(await playground.line(/http:/)).map((url) => open(url, { isConnected: false })));
    await state(first, /^The Remote Adapter is not connected\./);
    const start = async () => {
      const from = playground.lines.list.length;
      adapters.push(new Process(ADAPTER, waiting.split(': chat-adapter ')[1].split(' ')));
      for (const number of [1, 2]) {
        for (const side of ['metadata', 'data']) await playground.line(new RegExp(`^\\* server ${number}: ${side}: ARI .* agreed`), from);
      }
    };
    await start();
    await Promise.all([connected(first), connected(second)]);
    await say(first, 'before');
    await arrived(second, 'before');
    await adapters[0].end();
    for (const page of [first, second]) await state(page, /^The adapter is away/);
    await start();
    await Promise.all([connected(first), connected(second)]);
    await say(second, 'after');
    // The new one knows no session of before: the page comes again by itself.
    await arrived(first, 'after');
    await settled(second);
  } finally {
    await playground.end();
    for (const adapter of adapters) await adapter.end();
  }
});
