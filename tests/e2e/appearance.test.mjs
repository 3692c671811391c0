// How the playground's page looks: sizes, colours, directions, focus; with a checker of accessibility over all of it.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import { after, afterEach, before, test } from 'node:test';
import { Script, arrived, box, closePages, message, openPage, say, state, update } from './page.mjs';
import { launchBrowser, startPlayground } from './support.mjs';

const AXE = await readFile('node_modules/axe-core/axe.min.js', 'utf8');
const THEMES = {
  light: { colorScheme: 'light', forcedColors: 'none', reducedMotion: 'reduce' },
  dark: { colorScheme: 'dark', forcedColors: 'none', reducedMotion: 'reduce' },
  forced: { colorScheme: 'light', forcedColors: 'active', reducedMotion: 'reduce' },
};
const SIZES = {
  desktop: { width: 1280, height: 720 }, phone: { width: 390, height: 844 }, narrow: { width: 320, height: 640 }, tiny: { width: 160, height: 320 },
  'zoomed-200': { width: 640, height: 360 }, 'zoomed-400': { width: 320, height: 256 },
};

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

const open = (options) => openPage(browser, { url: playground.url, ...options });

/** A page with all there is to see: others, oneself, many lines, long words, all directions, something refused. */
async function full(options) {
  const script = new Script({ history: [update('old', { at: Date.now() - 2 * 86_400_000 }), 'EOS,1,1'] });
  const page = await open({ ...options, script });
  const agent = await page.evaluate(() => navigator.userAgent);
  await say(page, 'my own words');
  script.tell(update('my own words', { agent }), `MSGDONE,*,${(await script.message()).number},`);
  const agents = ['Mozilla/5.0 (Windows NT 10.0; rv:131.0) Gecko/20100101 Firefox/131.0', 'שלום/1.0', 'An agent with a very long name indeed/1.0', agent];
  for (let n = 0; n < 24; n += 1) script.tell(update(`message ${n}`, { agent: agents[n % 4], ip: `192.0.2.${n}` }));
  script.tell(update('Donaudampfschifffahrtsgesellschaftskapitän'.repeat(9)), update('two\nlines'), update('שלום 123 abc', { agent }), update('مرحبا 😀'),
    update('far away', { ip: '2001:0db8:85a3:0000:0000:8a2e:0370:7334', agent: agents[0] }));
  const from = script.frames.list.length;
  await say(page, 'nobody wants this');
  script.tell(`MSGFAIL,*,${(await script.message(from)).number},34,Not now`);
  await page.getByRole('group').getByText('Not sent: Not now.').waitFor();
  return page;
}

/** What stands behind other things cannot be judged; where nothing does, nothing is left out. */
async function assertClean(page, what, isAllInSight = false) {
  await page.evaluate(AXE);
  const { violations, incomplete, passes } = await page.evaluate(() => axe.run(document));
  const told = [...violations, ...(isAllInSight ? incomplete : [])]
    .flatMap((rule) => rule.nodes.map((node) => `${rule.id}: ${node.html.slice(0, 150)}: ${node.failureSummary}`));
  assert.deepEqual(told.slice(0, 10), [], what);
  assert.ok(passes.some((rule) => rule.id === 'color-contrast'), 'contrast was looked at');
}

for (const [theme, media] of Object.entries(THEMES)) {
  test(`axe-core finds nothing, ${theme}`, async () => {
    const page = await full({ ...media, viewport: { width: 1280, height: 3000 } });
    await assertClean(page, 'a full room', true);
    await page.getByRole('button', { name: 'Details' }).click();
    await page.getByRole('region', { name: 'Chat room' }).focus();
    await page.keyboard.press('ArrowUp');
    await page.locator('#exact').waitFor();
    await assertClean(page, 'with details and an exact time');
    await page.setViewportSize({ width: 390, height: 600 });
    await assertClean(page, 'on a phone');
    await page.keyboard.press('Home');
    await page.getByRole('button', { name: '1 not sent' }).waitFor();
    await assertClean(page, 'further up');
    const lost = await startPlayground();
    const other = await open({ ...media, url: lost.url });
    await assertClean(other, 'an empty room');
    await lost.process.end('SIGKILL');
    await state(other, /^The server is not there\./);
    await say(other, 'waiting');
    await other.getByText('Waiting for the connection').waitFor();
    await assertClean(other, 'without a server');
  });
}

test('it fits every size, in every theme', async () => {
  const folder = process.env.SCREENSHOTS;
  if (folder) await mkdir(folder, { recursive: true });
  const page = await full();
  const grounds = new Set();
  for (const [theme, media] of Object.entries(THEMES)) {
    await page.emulateMedia(media);
    for (const [size, viewport] of Object.entries(SIZES)) {
      await page.setViewportSize(viewport);
      const [whole, seen] = await page.evaluate(() => {
        const { scrollWidth, scrollHeight, clientWidth, clientHeight } = document.documentElement;
        return [[scrollWidth, scrollHeight], [clientWidth, clientHeight]];
      });
      assert.deepEqual(seen, [viewport.width, viewport.height], `${theme}, ${size}: a scroll bar beside the page`);
      assert.deepEqual(whole, seen, `${theme}, ${size}: all of the page is seen`);
      for (const name of ['Send', 'Details']) {
        const { x, y, width, height } = await page.getByRole('button', { name, exact: true }).boundingBox();
        assert.ok(x >= 0 && y >= 0 && x + width <= viewport.width && y + height <= viewport.height, `${theme}, ${size}: ${name}`);
      }
      // When somebody spoke is seen, whatever their name and address.
      assert.deepEqual(await page.evaluate(() => [...document.querySelectorAll('.message:not(.more)')].filter((one) => {
        const [row, time] = [one, one.querySelector('time')].map((part) => part.getBoundingClientRect());
        return time.width < 20 || time.left < row.left || time.right > row.right + 1;
      }).map((one) => one.textContent)), [], `${theme}, ${size}: times`);
      assert.equal(await box(page).evaluate((one) => one.offsetHeight - one.clientHeight <= 2), true, `${theme}, ${size}: no scroll bar below the placeholder`);
      if (size === 'tiny') continue;
      assert.ok(await page.locator('#scroll').evaluate((one) => one.clientHeight) > 80, `${theme}, ${size}: room for messages`);
      if (folder) await page.screenshot({ path: `${folder}/${theme}-${size}.png` });
    }
    grounds.add(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
  }
  assert.equal(grounds.size, 3);
});

test('messages, header and footer stand below each other, beside a scroll bar too', async () => {
  const page = await full();
  for (const width of [320, 600, 1280]) {
    await page.setViewportSize({ width, height: 600 });
    assert.ok(await page.locator('#scroll').evaluate((one) => one.offsetWidth - one.clientWidth) > 5, 'a scroll bar that takes room');
    const columns = await page.locator('.column').evaluateAll((all) => all.map((one) => {
      const { left, right } = one.getBoundingClientRect();
      return [left, right];
    }));
    assert.deepEqual(columns, [columns[0], columns[0], columns[0]], `${width} wide`);
  }
});

test('the ring of the focus has the shape of what has it', async () => {
  const page = await full();
  await page.evaluate(() => document.activeElement.blur());
  const shape = () => page.evaluate(() => {
    const { outlineStyle, outlineWidth, borderRadius } = getComputedStyle(document.activeElement);
    return { id: document.activeElement.id || document.activeElement.textContent, borderRadius, ring: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2 };
  });
  const shapes = await page.evaluate(() => Object.fromEntries([...document.querySelectorAll('button, textarea, #scroll')]
    .map((one) => [one.id || one.textContent, getComputedStyle(one).borderRadius])));
  const met = new Set();
  for (let n = 0; n < 8; n += 1) {
    await page.keyboard.press('Tab');
    const { id, borderRadius, ring } = await shape();
    if (!(id in shapes)) continue;
    met.add(id);
    assert.ok(ring, `a ring around ${id}`);
    assert.equal(borderRadius, shapes[id], id);
  }
  for (const id of ['details', 'scroll', 'text', 'send', 'Send again', 'Discard']) assert.ok(met.has(id), `${id} of ${[...met]}`);
});

test('in forced colours the box, the state and the discs are seen', async () => {
  const page = await full(THEMES.forced);
  const seen = (selector, pseudo) => page.evaluate(([selector, pseudo]) => {
    const style = getComputedStyle(document.querySelector(selector), pseudo);
    const ground = getComputedStyle(document.body).backgroundColor;
    return style.borderTopColor !== ground && parseFloat(style.borderTopWidth) > 0;
  }, [selector, pseudo]);
  for (const [selector, pseudo] of [['#text'], ['.disc'], ['.message.own .text'], ['.unsent'], ['#details'], ['#state', '::before']]) {
    assert.ok(await seen(selector, pseudo), selector);
  }
  // What is laid behind texts in forced colours must not hide one of them, as it did white on the colour of a button.
  const [send, details] = await page.evaluate(() => ['send', 'details'].map((id) => {
    const { color, backgroundColor } = getComputedStyle(document.getElementById(id));
    return [color, backgroundColor];
  }));
  assert.deepEqual(send, details);
  // The states differ in shape, too.
  const shapes = new Set();
  for (const state of ['open', 'wait', 'away', 'lost']) {
    shapes.add(await page.evaluate((state) => {
      document.getElementById('state').dataset.state = state;
      const { borderTopWidth, borderRadius, transform } = getComputedStyle(document.getElementById('state'), '::before');
      return [borderTopWidth, borderRadius, transform === 'none'].join();
    }, state));
  }
  assert.equal(shapes.size, 4, [...shapes].join(' '));
});

test('texts run the way of their letters, line by line, and so does the box', async () => {
  const page = await open();
  /** At which side of its text each line stands. */
  const lines = (text) => message(page, text).locator('.text').evaluate((one) => {
    const outer = one.getBoundingClientRect();
    const style = getComputedStyle(one);
    return one.textContent.split('\n').map((line, at, all) => {
      const range = document.createRange();
      const from = all.slice(0, at).join('\n').length + (at > 0 ? 1 : 0);
      range.setStart(one.firstChild, from);
      range.setEnd(one.firstChild, from + line.length);
      const { left, right } = range.getBoundingClientRect();
      const before = left - outer.left - parseFloat(style.paddingLeft);
      const behind = outer.right - right - parseFloat(style.paddingRight);
      return Math.abs(before - behind) < 3 ? 'whole' : before < behind ? 'left' : 'right';
    });
  });
  for (const [text, expected] of [
    ['a line of Latin letters that is the longest of all\nשלום 123 abc\nend', ['whole', 'right', 'left']],
    ['مرحبا بالعالم 2026 and some Latin, which makes it long\nabc 123\nשלום', ['whole', 'left', 'right']],
  ]) {
    await say(page, text);
    await arrived(page, text);
    const shown = page.locator('#log .text').last();
    assert.deepEqual(await page.evaluate(() => document.querySelectorAll('#log .text').length) > 0, true);
    const direction = await shown.evaluate((one) => getComputedStyle(one).direction);
    assert.equal(direction, expected[0] === 'whole' && /^[a-z]/.test(text) ? 'ltr' : 'rtl');
    assert.deepEqual(await lines(text), expected);
  }
  const direction = () => box(page).evaluate((one) => getComputedStyle(one).direction);
  await box(page).fill('שלום');
  assert.equal(await direction(), 'rtl');
  await box(page).fill('hello');
  assert.equal(await direction(), 'ltr');
});

function hasColouredEmoji() {
  try { return execFileSync('fc-list', [':family=Noto Color Emoji'], { env: { ...process.env, HOME: process.env.HOME_OF_BROWSER } }).length > 0; }
  catch { return false; }
}

test('emoji are in colour, and digits are not', { skip: hasColouredEmoji() ? false : 'no font of coloured emoji here' }, async () => {
  const page = await open();
  await say(page, '😀');
  await arrived(page, '😀');
  const isColoured = (text) => page.evaluate(async (text) => {
    const font = getComputedStyle(document.querySelector('#log .text')).font;
    await document.fonts.load(font, text);
    const pen = Object.assign(document.createElement('canvas'), { width: 40, height: 40 }).getContext('2d');
    pen.font = font;
    pen.fillText(text, 5, 25);
    const { data } = pen.getImageData(0, 0, 40, 40);
    for (let at = 0; at < data.length; at += 4) if (data[at + 3] > 200 && Math.abs(data[at] - data[at + 2]) > 60) return true;
    return false;
  }, text);
  for (const text of ['😀', '⚡', '❌']) assert.ok(await isColoured(text), text);
  for (const text of ['7', '#', 'a', '✓']) assert.ok(!(await isColoured(text)), text);
});
