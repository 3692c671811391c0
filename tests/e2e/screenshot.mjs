// Makes the picture of the playground's page that the README shows: a short conversation in a real room.

import { PythonClient, launchBrowser, startPlayground } from './support.mjs';
import { arrived, box, closePages, openPage, say, settled } from './page.mjs';

const FIREFOX = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:131.0) Gecko/20100101 Firefox/131.0';
const IPHONE = 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1';

const browser = await launchBrowser();
const playground = await startPlayground();
const script = new PythonClient(playground.url);
await script.status('CONNECTED:WS-STREAMING');
await script.join();
const open = (options) => openPage(browser, { url: playground.url, viewport: { width: 860, height: 600 }, ...options });
const [page, firefox, iphone] = [await open(), await open({ userAgent: FIREFOX }), await open({ userAgent: IPHONE })];
const window = await open({ context: page.context() });
for (const [who, text] of [
  [firefox, 'Good morning! Is the room open again?'],
  [page, 'It is, and whoever comes sees what was said before.'],
  [page, 'One\'s own words stand on this side.'],
  [window, 'I am another window of the same browser, and not taken for the first one.'],
  [iphone, 'שלום! Hello from the train.'],
]) {
  await say(who, text);
  await arrived(page, text);
  await settled(who);
}
await script.say('And this was said by a script.');
await arrived(page, 'And this was said by a script.');
await box(page).focus();
await page.screenshot({ path: process.argv[2], animations: 'disabled', caret: 'hide' });
await closePages();
await browser.close();
await script.end();
await playground.process.end();
