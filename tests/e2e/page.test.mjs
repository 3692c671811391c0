// The playground's own page in a browser, with an official client in the same room.

import assert from 'node:assert/strict';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { OPENING, Script, arrived, box, closePages, connected, openPage, say, settled, state, texts, update } from './page.mjs';
import { AWKWARD, PythonClient, adapterIsThere, launchBrowser, startAdapter, startPlayground } from './support.mjs';

let browser, playground, listener;

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

afterEach(closePages);

const NOON = Date.UTC(2026, 10, 25, 12);
const open = (options) => openPage(browser, { url: playground.url, ...options });

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

test('a message that can never be sent as it is can be edited, and not be sent again', async () => {
  const page = await open();
  const long = 'x'.repeat(60_000);
  await say(page, long);
  await page.getByRole('group').getByText('Not sent: it is too long.').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Send again' }).count(), 0);
  await box(page).fill('begun meanwhile');
  await page.getByRole('button', { name: 'Edit' }).click();
  await settled(page);
  assert.equal(await box(page).inputValue(), `${long}\nbegun meanwhile`);
  assert.equal(await box(page).evaluate((one) => one === document.activeElement), true);
  await say(page, long);
  await page.getByRole('button', { name: 'Discard' }).click();
  await settled(page);
  assert.equal(await box(page).inputValue(), '');
  // The adapter's refusal of a message for what it is, and that of a server.
  const script = new Script();
  const other = await open({ script });
  for (const refusal of [(number) => `MSGFAIL,*,${number},34,The message is too long`, (number) => `REQERR,${Number(number) + 2},67,no such message`]) {
    const from = script.frames.list.length;
    await say(other, 'not welcome');
    script.tell(refusal((await script.message(from)).number));
    await other.getByRole('group').getByText(/^Not sent: .*\.$/).waitFor();
    await other.getByRole('button', { name: 'Edit' }).click();
    assert.equal(await box(other).inputValue(), 'not welcome');
    await connected(other);
  }
});

test('who reads further up is left there, told how much is new, and gets back to the end in any case', async () => {
  const page = await open({ viewport: { width: 600, height: 400 } });
  for (let n = 1; n <= 12; n += 1) await say(page, `filling the room, ${n}`);
  await settled(page);
  const scroll = page.getByRole('region', { name: 'Chat room' });
  const top = () => scroll.evaluate((one) => one.scrollTop);
  const atEnd = () => page.waitForFunction(() => {
    const one = document.getElementById('scroll');
    return one.scrollHeight - one.scrollTop - one.clientHeight < 2;
  });
  const home = async () => {
    await scroll.focus();
    await page.keyboard.press('Home');
    await page.waitForFunction(() => document.getElementById('scroll').scrollTop === 0);
  };
  await atEnd();
  assert.equal(await page.locator('#down').isVisible(), false);
  await home();
  await page.getByRole('button', { name: 'Jump to the end' }).click();
  await atEnd();
  await page.locator('#down').waitFor({ state: 'hidden' });
  await home();
  for (const [text, name] of [['something new', '1 new message'], ['something else', '2 new messages']]) {
    await listener.say(text);
    await arrived(page, text);
    await page.getByRole('button', { name, exact: true }).waitFor();
    assert.equal(await top(), 0);
  }
  await page.getByRole('button', { name: '2 new messages' }).click();
  await atEnd();
  await home();
  await page.getByRole('button', { name: 'Jump to the end' }).click();
  await atEnd();
  await page.locator('#down').waitFor({ state: 'hidden' });
  assert.equal(await box(page).evaluate((one) => one === document.activeElement), true);
  // Who is at the end stays there, whoever speaks and however long.
  for (const text of ['long '.repeat(200), 'short']) {
    await listener.say(text);
    await arrived(page, text);
    await atEnd();
  }
});

test('two thousand messages are shown, some at a time, and laid out a few times and not for each of them', async () => {
  const script = new Script();
  const page = await open({ script });
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('Performance.enable');
  const layouts = async () => (await devtools.send('Performance.getMetrics')).metrics
    .filter(({ name }) => ['LayoutCount', 'RecalcStyleCount'].includes(name)).reduce((sum, { value }) => sum + value, 0);
  const before = await layouts();
  // What is told at once came between two turns of the browser, in which it draws and hears its user.
  await page.evaluate(() => {
    window.turns = [];
    new MutationObserver((all) => window.turns.push(all.flatMap((one) => [...one.addedNodes]).filter((one) => one.matches?.('.message')).length))
      .observe(document.getElementById('log'), { childList: true, subtree: true });
  });
  const lines = Array.from({ length: 2_100 }, (_, n) => update(`message ${n}`, { ip: `192.0.2.${n % 5}`, at: Date.now() + n }));
  script.tell(...lines);
  await arrived(page, 'message 2099');
  const spent = (await layouts()) - before;
  assert.ok(spent < 800, `styled and laid out ${spent} times`);
  const turns = await page.evaluate(() => window.turns);
  assert.equal(turns.reduce((sum, one) => sum + one), 2_100);
  assert.ok(Math.max(...turns) <= 50, `${Math.max(...turns)} at once`);
  const assertShown = async () => {
    const shown = await page.locator('#log .message').count();
    assert.ok(shown >= 2_000 && shown <= 2_100, `${shown} are shown`);
  };
  await assertShown();
  const distance = () => page.evaluate(() => {
    const one = document.getElementById('scroll');
    return one.scrollHeight - one.scrollTop - one.clientHeight;
  });
  // A connection that breaks behind many lines takes nothing of them away.
  const from = script.frames.list.length;
  script.tell(...Array.from({ length: 300 }, (_, n) => update(`last, ${n}`)));
  await script.breakOff();
  await script.frames.next('another session', (frame) => frame.startsWith('create_session'), from);
  assert.equal((await texts(page)).at(-1), 'last, 299');
  await connected(page);
  // Neither what comes between two frames nor what leaves at the top moves anybody away from the end.
  for (let n = 0; n < 200; n += 1) script.tell(update(`one more, ${n}\n\n\n\n\n`));
  await arrived(page, 'one more, 199\n\n\n\n\n');
  await page.waitForFunction(() => new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(() => next(true)))));
  assert.ok((await distance()) < 2, `${await distance()} from the end`);
  assert.equal(await page.locator('#down').isVisible(), false);
  // Who scrolls up while more and more comes is let go.
  await page.getByRole('region', { name: 'Chat room' }).hover();
  for (let n = 0; await page.locator('#down').isHidden(); n += 1) {
    script.tell(update(`and more, ${n}`));
    await page.mouse.wheel(0, -200);
  }
  await page.locator('#down').click();
  await page.locator('#down').waitFor({ state: 'hidden' });
  assert.equal(await page.locator('#down').isVisible(), false);
  await assertShown();
  // What is out of sight is not drawn, and is there for those who hear the page.
  await page.waitForFunction(() => {
    const texts = [...document.querySelectorAll('#log .text')];
    const isDrawn = (text) => text.checkVisibility({ contentVisibilityAuto: true });
    return !isDrawn(texts[0]) && isDrawn(texts.at(-1));
  });
  assert.deepEqual(page.problems, []);
});

test('who reads further up stays where they are while the oldest messages leave, and when a message is refused', async () => {
  const script = new Script();
  const page = await open({ script, viewport: { width: 600, height: 400 } });
  const lines = (from, to) => Array.from({ length: to - from }, (_, n) => update(`message ${from + n}`, { at: NOON + n }));
  script.tell(...lines(0, 2_000));
  await arrived(page, 'message 1999');
  await say(page, 'to be refused');
  const { number } = await script.message();
  // Some thousand pixels up, and then as far as it takes for the message to be in sight and to stay there.
  await page.locator('#scroll').evaluate((one) => { one.scrollTop -= 5_000; });
  await page.locator('#down').waitFor();
  const shown = () => page.evaluate(() => {
    const { top } = document.getElementById('scroll').getBoundingClientRect();
    const one = [...document.querySelectorAll('#log .message')].find((one) => one.getBoundingClientRect().top > top);
    return [one.querySelector('.text').textContent, Math.round(one.getBoundingClientRect().top - top)];
  });
  const settle = () => page.evaluate(() => new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next))));
  await settle();
  const before = await shown();
  script.tell(...lines(2_000, 2_300));
  await arrived(page, 'message 2299');
  assert.equal(await page.locator('#log .text', { hasText: /^message 0$/ }).count(), 0, 'the oldest are gone');
  await settle();
  assert.deepEqual(await shown(), before);
  await page.getByRole('button', { name: '300 new messages', exact: true }).waitFor();
  script.tell(`MSGFAIL,*,${number},34,Not now, thank you`);
  await page.getByRole('button', { name: '300 new messages, 1 not sent', exact: true }).waitFor();
  await settle();
  assert.deepEqual(await shown(), before);
  await page.getByRole('alert').getByText('Not sent: Not now, thank you. to be refused').waitFor();
  await page.locator('#down').click();
  await page.getByRole('group').getByText('Not sent: Not now, thank you.').waitFor();
  await page.getByRole('button', { name: 'Discard' }).click();
  // The keys lead from what is in sight, not from the end.
  const scroll = page.getByRole('region', { name: 'Chat room' });
  await scroll.focus();
  await page.locator('#scroll').evaluate((one) => { one.scrollTop -= 3_000; });
  await page.locator('#down').waitFor();
  await settle();
  const top = await scroll.evaluate((one) => one.scrollTop);
  await page.keyboard.press('ArrowUp');
  await page.waitForFunction(() => document.activeElement.matches('.message'));
  assert.ok(Math.abs(await scroll.evaluate((one) => one.scrollTop) - top) < 100);
  assert.deepEqual(page.problems, []);
});

test('a hidden page tells in its title how much is new, also after the connection was lost', async () => {
  const script = new Script({ history: [update('before'), 'EOS,1,1'] });
  const page = await open({ script });
  const hide = (isHidden) => page.evaluate((isHidden) => {
    Object.defineProperty(document, 'hidden', { value: isHidden, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  }, isHidden);
  const title = (text) => page.waitForFunction((text) => document.title === text, text);
  await arrived(page, 'before');
  await title('Basic Chat');
  await hide(true);
  script.tell(update('one'));
  await title('(1) Basic Chat');
  await script.breakOff([update('two'), update('three'), 'EOS,1,1']);
  await title('(3) Basic Chat');
  await hide(false);
  await title('Basic Chat');
  script.tell(update('four'));
  await arrived(page, 'four');
  await title('Basic Chat');
});

test('history is told once, whenever it comes', async () => {
  const history = [update('one', { at: NOON }), update('two', { at: NOON }), update('two', { at: NOON })];
  const script = new Script({ history: [...history, 'EOS,1,1'] });
  const page = await open({ script });
  await arrived(page, 'two');
  await script.breakOff([]);
  // The page goes on without waiting for it for ever.
  await page.waitForFunction(() => document.getElementById('log').ariaBusy === 'true');
  await page.waitForFunction(() => document.getElementById('log').ariaBusy === 'false');
  script.tell(...history, update('two', { at: NOON }), update('three'), 'EOS,1,1');
  await arrived(page, 'three');
  assert.deepEqual(await texts(page), ['one', 'two', 'two', 'two', 'three']);
});

test('the page is one short file that fetches nothing, under a strict policy', async () => {
  const page = await openPage(browser, { url: 'about:blank', isConnected: false });
  const requests = [];
  page.on('request', (request) => requests.push(request.url()));
  const response = await page.goto(playground.url);
  await connected(page);
  assert.deepEqual(requests.filter((url) => !url.startsWith('data:')), [playground.url]);
  const body = await response.text();
  assert.ok(body.split('\n').length <= 700, `${body.split('\n').length} lines`);
  const nonce = /<script nonce="(\w+)">/.exec(body)[1];
  assert.equal(response.headers()['content-security-policy'], "default-src 'none'; "
    + `script-src 'nonce-${nonce}'; style-src 'nonce-${nonce}'; connect-src 'self'; img-src data:; `
    + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
  await page.getByText('Playground stand-in', { exact: true }).waitFor();
  assert.deepEqual(page.problems, []);
});

test('what is written and not sent outlives a reload', async () => {
  const page = await open();
  await box(page).fill('half a thought');
  await page.reload();
  await connected(page);
  assert.equal(await box(page).inputValue(), 'half a thought');
  await box(page).press('Enter');
  await arrived(page, 'half a thought');
  await settled(page);
  await page.reload();
  await connected(page);
  assert.equal(await box(page).inputValue(), '');
  // So does what was refused.
  const script = new Script();
  const other = await open({ script });
  await say(other, 'refused');
  await box(other).fill('and the next');
  script.tell(`MSGFAIL,*,${(await script.message()).number},34,Not now`);
  await other.getByRole('group').getByText('Not sent: Not now.').waitFor();
  await other.reload();
  await connected(other);
  assert.equal(await box(other).inputValue(), 'refused\nand the next');
  // And what was on its way, or was lost with the connection; what the room has is no draft any more.
  await box(other).fill('on its way');
  for (const isLost of [false, true]) {
    const from = script.frames.list.length;
    await box(other).press('Enter');
    await script.message(from);
    if (isLost) {
      await script.breakOff();
      await other.getByRole('group').getByText('The connection was lost: the room may have it or not.').waitFor();
    }
    await other.reload();
    await connected(other);
    assert.equal(await box(other).inputValue(), 'on its way');
  }
  const from = script.frames.list.length;
  await box(other).press('Enter');
  const { number } = await script.message(from);
  script.tell(update('on its way', { agent: await other.evaluate(() => navigator.userAgent) }), `MSGDONE,*,${number},`);
  await settled(other);
  await other.reload();
  await connected(other);
  assert.equal(await box(other).inputValue(), '');
  // It has what it took, too, before it shows it; and that is known even if the page does not end as pages should.
  const next = script.frames.list.length;
  await say(other, 'taken');
  script.tell(`MSGDONE,*,${(await script.message(next)).number},`);
  await other.getByRole('group').getByText('Sent.').waitFor();
  assert.equal(await other.evaluate(() => sessionStorage.getItem('chat.draft')), '""');
  // One window is not the other.
  await box(page).fill('mine');
  const second = await open({ context: page.context() });
  assert.equal(await box(second).inputValue(), '');
});

test('that nobody has said anything is said where it is known, and why there may be nothing', async () => {
  const nothing = (page) => page.getByText(/^Nobody has said anything since the room was opened\.\s*What is said is kept while somebody is here\.$/);
  const empty = await startPlayground();
  try {
    const page = await open({ url: empty.url });
    await nothing(page).waitFor();
    await say(page, 'something');
    await arrived(page, 'something');
    await nothing(page).waitFor({ state: 'hidden' });
  } finally {
    await empty.process.end();
  }
  // The history has not ended, and may have something to tell. The page lets people write all the same.
  const script = new Script({ history: [] });
  const page = await open({ script });
  await say(page, 'is anybody there?');
  await script.message();
  await page.waitForFunction(() => document.getElementById('log').ariaBusy === 'false');
  assert.equal(await nothing(page).isVisible(), false);
  script.tell('EOS,1,1');
  await nothing(page).waitFor();
});

test('a second tab gets the history, in its order', async () => {
  const page = await open();
  await say(page, 'for those to come');
  await arrived(page, 'for those to come');
  const late = await open();
  await arrived(late, 'for those to come');
  await late.getByText(/^You have been here since .*\.$/).waitFor();
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
  // An Enter that chooses among the characters that could be meant is none that sends.
  await box(page).fill('に');
  for (const init of [{ isComposing: true }, { keyCode: 229 }]) {
    await box(page).dispatchEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true, ...init });
  }
  assert.equal(await box(page).inputValue(), 'に');
  await box(page).fill('   ');
  await box(page).press('Enter');
  assert.equal(await page.locator('.unsent').count(), 0, 'nothing to say is not said');
});

test('who waits for the connection can try at once, and keeps the focus when it is there', async () => {
  const script = new Script();
  const page = await open({ script });
  const retry = page.getByRole('button', { name: 'Try now' });
  for (const isPatient of [false, true]) {
    script.opening = ['CONERR,6,Nobody, at home'];
    await script.breakOff();
    await retry.waitFor();
    await state(page, /^Nobody, at home\. Trying again in \d+\u00a0s…$/);
    await retry.focus();
    script.opening = OPENING;
    if (!isPatient) await retry.press('Enter');
    await connected(page);
    await retry.waitFor({ state: 'hidden' });
    assert.equal(await box(page).evaluate((one) => one === document.activeElement), true);
  }
  assert.deepEqual(page.problems, []);
});

test('the way to the end opens no keyboard on a screen', async () => {
  for (const isMobile of [false, true]) {
    const script = new Script({ history: [...Array.from({ length: 30 }, (_, n) => update(`message ${n}`)), 'EOS,1,1'] });
    const page = await open({ script, isMobile, hasTouch: isMobile, viewport: { width: 390, height: 600 } });
    await arrived(page, 'message 29');
    await page.locator('#scroll').evaluate((one) => { one.scrollTop = 0; });
    const down = page.getByRole('button', { name: 'Jump to the end' });
    await (isMobile ? down.tap() : down.click());
    await down.waitFor({ state: 'hidden' });
    assert.equal(await page.evaluate(() => document.activeElement.id), isMobile ? 'scroll' : 'text');
  }
});

test('the adapter is killed and comes back: what is refused meanwhile says why', async () => {
  const bare = await startPlayground({ args: ['--no-adapter'] });
  let adapter = startAdapter(bare);
  try {
    await adapterIsThere(bare.process);
    const page = await open({ url: bare.url });
    await say(page, 'before');
    await arrived(page, 'before');
    // Its outcome takes another way than the message, and could be lost with the adapter.
    await settled(page);
    let from = bare.process.lines.list.length;
    await adapter.end('SIGKILL');
    // Said at once, and not when somebody sends.
    await state(page, /^The adapter is away: nobody can send\.$/);
    await bare.process.line(/^\* metadata: the adapter is gone/, from);
    await say(page, 'to nobody');
    await page.getByRole('group').getByText('Not sent: The Remote Adapter is not connected.').waitFor();
    await page.getByRole('alert').getByText('to nobody').waitFor();
    assert.deepEqual(await texts(page), ['before']);
    from = bare.process.lines.list.length;
    adapter = startAdapter(bare);
    await adapterIsThere(bare.process, from);
    await bare.process.line(/^data {5}← .*\|SUB\|V/, from);
    await connected(page);
    await page.getByRole('log').getByText(/^The adapter was away\. It came back at \d\d:\d\d\.$/).waitFor();
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
    const page = await open({ url: bare.url, isConnected: false });
    await state(page, /^The Remote Adapter is not connected\. Trying again/);
    await say(page, 'I was early');
    await page.getByRole('group').getByText('Waiting for the connection').waitFor();
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
