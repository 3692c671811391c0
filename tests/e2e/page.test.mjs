// The playground's own page in a browser, with an official client in the same room.

import assert from 'node:assert/strict';
import { mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { AWKWARD, PythonClient, adapterIsThere, launchBrowser, startAdapter, startPlayground } from './support.mjs';

let browser, playground, listener;
const contexts = [];

before(async () => {
  browser = await launchBrowser();
  playground = await startPlayground();
  listener = new PythonClient(playground.url);
  await listener.status('CONNECTED:WS-STREAMING');
  await listener.join();
});

after(async () => {
  await browser?.close();
  await listener?.end();
  await playground?.process.end();
});

afterEach(async () => {
  for (const context of contexts.splice(0)) await context.close();
});

/** A tab with the page, in the room. Whatever goes wrong in it fails the test at its end. */
async function open({ url = playground.url, ...options } = {}) {
  const context = await browser.newContext({ locale: 'en-GB', ...options });
  contexts.push(context);
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(error.message));
  page.on('console', (message) => { if (message.type() === 'error') page.problems.push(message.text()); });
  page.on('dialog', (dialog) => { page.problems.push(`a dialog: ${dialog.message()}`); dialog.dismiss(); });
  await page.goto(url);
  await connected(page);
  return page;
}

const connected = (page) => page.getByRole('status').filter({ hasText: /^Connected$/ }).waitFor();
const box = (page) => page.getByRole('textbox', { name: 'Message' });
const texts = (page) => page.getByRole('log').locator('.text').evaluateAll((all) => all.map((one) => one.textContent));
const arrived = (page, text) => page.waitForFunction(
  (text) => [...document.querySelectorAll('#log .text')].some((one) => one.textContent === text), text);
const settled = (page) => page.waitForFunction(() => !document.querySelector('.own'));

async function say(page, text) {
  await box(page).fill(text);
  await page.getByRole('button', { name: 'Send', exact: true }).click();
}

test('what is typed is seen in two tabs and by an official client', async () => {
  const [one, two] = [await open(), await open()];
  await box(one).click();
  await one.keyboard.type('Hello from the keyboard');
  await one.keyboard.press('Enter');
  for (const page of [one, two]) await arrived(page, 'Hello from the keyboard');
  await settled(one);
  const update = await listener.update('Hello from the keyboard');
  assert.match(update.nick, /Chrome\//);
  await listener.say('Hello from Python');
  for (const page of [one, two]) await arrived(page, 'Hello from Python');
  const senders = await two.getByRole('log').locator('.name').allTextContents();
  assert.match(senders.at(-2), /^Chrome \d+ on /);
  assert.match(senders.at(-1), /Python|aiohttp/);
  const colours = await two.getByRole('log').locator('.name').evaluateAll((all) => all.slice(-2).map((one) => getComputedStyle(one).color));
  assert.notEqual(colours[0], colours[1]);
  assert.deepEqual([...one.problems, ...two.problems], []);
});

test('texts are shown as they were written', async () => {
  const [page, from] = [await open(), listener.position];
  // What a text box holds has one kind of line end.
  const awkward = AWKWARD.map((text) => text.replaceAll('\r\n', '\n')).filter((text) => text.trim() !== '');
  const before = (await texts(page)).length;
  for (const text of awkward) await say(page, text);
  await settled(page);
  await listener.events.all('all the texts', awkward.length, (event) => event.kind === 'update', from);
  assert.deepEqual(listener.texts(from), awkward);
  await arrived(page, awkward.at(-1));
  assert.deepEqual((await texts(page)).slice(before), awkward);
  assert.deepEqual(page.problems, []);
});

test('markup is text and is never executed', async () => {
  const page = await open();
  const markup = [
    '<img src=x onerror="window.executed = 1">', '<script>window.executed = 2</script>', '<b>bold</b> &amp; &lt;',
    '<svg onload="window.executed = 3">', '"><iframe srcdoc="<script>parent.executed = 4</script>">', 'javascript:window.executed=5',
  ];
  for (const text of markup) {
    await say(page, text);
    await arrived(page, text);
  }
  // Senders' names are text as well.
  const other = await open({ userAgent: '<img src=x onerror="window.executed = 6">' });
  await say(other, 'who am I?');
  await arrived(page, 'who am I?');
  assert.equal(await page.getByRole('log').locator('.name').last().textContent(), '<img src=x onerror="window.executed = 6">');
  assert.equal(await page.locator('#log img, #log script, #log svg, #log b, #log iframe').count(), 0);
  assert.equal(await page.evaluate(() => window.executed), undefined);
  assert.deepEqual(page.problems, []);
});

test('a message of 10 KiB is shown whole', async () => {
  const page = await open();
  const text = 'lorem|ipsum %+ '.repeat(700).slice(0, 10_239) + '.';
  await say(page, text);
  await arrived(page, text);
  await listener.update(text);
});

test('a message that is too long is not sent, and stays', async () => {
  const page = await open();
  await say(page, 'x'.repeat(60_000));
  await page.getByRole('group').getByText('Not sent: it is too long.').waitFor();
  await page.getByRole('button', { name: 'Discard' }).click();
  await settled(page);
});

test('who reads further up is left there, and told of what is new', async () => {
  const page = await open({ viewport: { width: 600, height: 400 } });
  for (let n = 1; n <= 12; n += 1) await say(page, `filling the room, ${n}`);
  await settled(page);
  const scroll = page.getByRole('region', { name: 'Chat room' });
  const position = () => scroll.evaluate((one) => [one.scrollTop, one.scrollHeight - one.scrollTop - one.clientHeight]);
  assert.ok((await position())[1] < 2, 'at the end');
  await scroll.focus();
  await page.keyboard.press('Home');
  await page.waitForFunction(() => document.getElementById('scroll').scrollTop === 0);
  await listener.say('something new');
  await arrived(page, 'something new');
  assert.equal((await position())[0], 0);
  await page.getByRole('button', { name: 'New messages' }).click();
  assert.ok((await position())[1] < 2, 'at the end again');
  await page.getByRole('button', { name: 'New messages' }).waitFor({ state: 'hidden' });
});

test('a second tab gets the history, in its order', async () => {
  const page = await open();
  await say(page, 'for those to come');
  await arrived(page, 'for those to come');
  const late = await open();
  await arrived(late, 'for those to come');
  await late.getByText(/^You are here since/).waitFor();
  assert.deepEqual(await texts(late), (await texts(page)).slice(-30));
});

test('it can be used with a keyboard and a screen reader', async () => {
  const page = await open();
  assert.equal(await box(page).evaluate((one) => one === document.activeElement), true, 'focus at the start');
  await page.keyboard.type('first line');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('second line');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await arrived(page, 'first line\nsecond line');
  assert.equal(await box(page).evaluate((one) => one === document.activeElement), true, 'focus after sending');
  await page.keyboard.press('Shift+Tab');
  assert.equal(await page.getByRole('region', { name: 'Chat room' }).evaluate((one) => one === document.activeElement), true);
  const log = page.getByRole('log', { name: 'Messages' });
  assert.equal(await log.getAttribute('aria-live'), 'polite');
  assert.equal(await log.getAttribute('aria-busy'), 'false');
  await page.getByRole('button', { name: 'Details' }).press('Enter');
  await page.getByRole('log').getByText(await page.evaluate(() => navigator.userAgent)).last().waitFor();
  await box(page).fill('   ');
  await box(page).press('Enter');
  assert.equal(await page.locator('.own').count(), 0, 'nothing to say is not said');
});

test('it fits a phone and a desktop, in light and in dark', async () => {
  const folder = process.env.SCREENSHOTS;
  if (folder) await mkdir(folder, { recursive: true });
  const grounds = new Set();
  for (const [name, options] of Object.entries({
    phone: { viewport: { width: 320, height: 640 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true },
    desktop: { viewport: { width: 900, height: 640 } },
  })) {
    for (const colorScheme of ['light', 'dark']) {
      const page = await open({ ...options, colorScheme });
      await arrived(page, 'for those to come');
      const [width, inner] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      assert.ok(width <= inner, `${name}: ${width} wide on ${inner}`);
      assert.ok(await page.getByRole('button', { name: 'Send', exact: true }).evaluate((one) => one.getBoundingClientRect().bottom <= innerHeight));
      grounds.add(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
      const image = await page.screenshot(folder ? { path: `${folder}/${name}-${colorScheme}.png` } : {});
      assert.ok(image.length > 5_000);
    }
  }
  assert.equal(grounds.size, 2);
});

test('the adapter is killed and comes back: what is refused meanwhile says why', async () => {
  const bare = await startPlayground({ args: ['--no-adapter'] });
  let adapter = startAdapter(bare);
  try {
    await adapterIsThere(bare.process);
    const page = await open({ url: bare.url });
    await say(page, 'before');
    await arrived(page, 'before');
    let from = bare.process.lines.list.length;
    await adapter.end('SIGKILL');
    await bare.process.line(/^\* metadata: the adapter is gone/, from);
    await say(page, 'to nobody');
    await page.getByRole('group').getByText('Not sent: The Remote Adapter is not connected').waitFor();
    await page.getByRole('alert').getByText('to nobody').waitFor();
    assert.deepEqual(await texts(page), ['before']);
    from = bare.process.lines.list.length;
    adapter = startAdapter(bare);
    await adapterIsThere(bare.process, from);
    await bare.process.line(/^data {5}← .*\|SUB\|V/, from);
    await page.getByRole('button', { name: 'Send again' }).click();
    await arrived(page, 'to nobody');
    await settled(page);
    await say(page, 'after');
    await arrived(page, 'after');
    assert.deepEqual(await texts(page), ['before', 'to nobody', 'after']);
    assert.deepEqual(page.problems, []);
  } finally {
    await adapter.end();
    await bare.process.end();
  }
});

test('the adapter is restarted with its file of sessions: two tabs go on, and nobody joins again', async () => {
  const bare = await startPlayground({ args: ['--no-adapter'] });
  const kept = ['--state', join(await mkdtemp(join(tmpdir(), 'state-')), 'sessions')];
  let adapter = startAdapter(bare, kept);
  try {
    await adapterIsThere(bare.process);
    const [one, two] = [await open({ url: bare.url }), await open({ url: bare.url })];
    await say(one, 'before');
    await arrived(two, 'before');
    const from = bare.process.lines.list.length;
    await adapter.end();
    for (const side of ['metadata', 'data']) await bare.process.line(new RegExp(`^\\* ${side}: the adapter is gone`), from);
    adapter = startAdapter(bare, kept);
    await adapterIsThere(bare.process, from);
    await bare.process.line(/^data {5}← .*\|SUB\|V/, from);
    await say(one, 'after');
    await arrived(two, 'after');
    await say(two, 'me too');
    await arrived(one, 'me too');
    for (const page of [one, two]) {
      await settled(page);
      assert.deepEqual(await texts(page), ['before', 'after', 'me too']);
      assert.deepEqual(page.problems, []);
    }
    assert.deepEqual(bare.process.lines.list.slice(from).filter((line) => /\|(NUS|NNS)\|/.test(line)), []);
  } finally {
    await adapter.end();
    await bare.process.end();
  }
});

test('the adapter is there only later: the page waits for it', async () => {
  const bare = await startPlayground({ args: ['--no-adapter'] });
  let adapter;
  try {
    const context = await browser.newContext();
    contexts.push(context);
    const page = await context.newPage();
    await page.goto(bare.url);
    await page.getByRole('status').filter({ hasText: 'The Remote Adapter is not connected' }).waitFor();
    await say(page, 'I was early');
    await page.getByText('Waiting for the connection').waitFor();
    adapter = startAdapter(bare);
    await connected(page);
    await arrived(page, 'I was early');
  } finally {
    await adapter?.end();
    await bare.process.end();
  }
});

test('the server goes away and comes back: the page finds it by itself', async () => {
  let server = await startPlayground();
  try {
    const page = await open({ url: server.url });
    await say(page, 'before');
    await arrived(page, 'before');
    await settled(page);
    await server.process.end('SIGKILL');
    await page.getByRole('status').filter({ hasText: 'The server is not there.' }).waitFor();
    await say(page, 'meanwhile');
    await page.getByText('Waiting for the connection').waitFor();
    server = await startPlayground(server);
    await connected(page);
    await arrived(page, 'meanwhile');
    await settled(page);
    assert.deepEqual(await texts(page), ['before', 'meanwhile']);
  } finally {
    await server.process.end();
  }
});
