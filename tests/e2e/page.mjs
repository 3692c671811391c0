// The playground's page as tests handle it: tabs with it, what people do there, and a server that says what a test wants.

import { Events } from './support.mjs';

const contexts = [];

/** Closes the tabs that were opened for a test. */
export async function closePages() {
  for (const context of contexts.splice(0)) await context.close();
}

/**
 * A tab with the page, connected unless `isConnected` is false. `problems` are whatever went wrong in it. `context`
 * is that of another tab, which then is of the same browser; `script` plays the server.
 */
export async function openPage(browser, { url, isConnected = true, context, script, now, ...options }) {
  if (!context) {
    context = await browser.newContext({ locale: 'en-GB', ...options });
    contexts.push(context);
  }
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(error.message));
  page.on('console', (message) => { if (message.type() === 'error') page.problems.push(message.text()); });
  page.on('dialog', (dialog) => { page.problems.push(`a dialog: ${dialog.message()}`); dialog.dismiss(); });
  if (now) await page.clock.setFixedTime(now);
  await script?.play(page);
  await page.goto(url);
  if (isConnected) await connected(page);
  return page;
}

export const state = (page, text) => page.getByRole('status').filter({ hasText: text }).waitFor();
export const connected = (page) => state(page, /^Connected$/);
export const box = (page) => page.getByRole('textbox', { name: 'Message' });
export const texts = (page) => page.getByRole('log').locator('.text').evaluateAll((all) => all.map((one) => one.textContent));
export const arrived = (page, text) => page.waitForFunction(
  (text) => [...document.querySelectorAll('#log .text')].some((one) => one.textContent === text), text);
/** Awaits that no message is on its way or refused. */
export const settled = (page) => page.waitForFunction(() => !document.querySelector('.unsent'));
/** The message with a text, as it is shown. */
export const message = (page, text) => page.locator('#log .message').filter({ has: page.getByText(text, { exact: true }) });

export async function say(page, text) {
  await box(page).fill(text);
  await page.getByRole('button', { name: 'Send', exact: true }).click();
}

/** How a server answers who is welcome. */
export const OPENING = ['CONOK,S1,50000,60000,*', 'SERVNAME,Script', 'CLIENTIP,127.0.0.1', 'CONS,unlimited'];

/** A server that a test plays line by line, for what a real one says rarely or never. */
export class Script {
  /** What the page said. */
  frames = new Events();
  #route;
  #history;

  /** `status` is a line about the status item, or none; `history` are the lines of the snapshot, its end included. */
  constructor({ status = 'U,2,1,connected', history = ['EOS,1,1'] } = {}) {
    this.status = status;
    this.opening = OPENING;
    this.#history = history;
  }

  play(page) {
    return page.routeWebSocket(/\/lightstreamer$/, (route) => {
      this.#route = route;
      route.onMessage((frame) => {
        if (frame.startsWith('create_session')) this.tell(...this.opening);
        if (frame.includes('LS_subId=1&')) this.tell('SUBOK,1,1,5', ...this.#history);
        if (frame.includes('LS_subId=2&') && this.status) this.tell(this.status);
        this.frames.push(frame);
      });
    });
  }

  tell(...lines) { this.#route.send(lines.map((line) => `${line}\r\n`).join('')); }

  /** Breaks the connection; who comes again gets another history. */
  breakOff(history = this.#history) {
    this.#history = history;
    return this.#route.close();
  }

  /** Awaits the next message of the page, from a position on, and says its number and its text. */
  async message(from = 0) {
    const frame = await this.frames.next('a message', (frame) => frame.startsWith('msg'), from);
    const parameters = new URLSearchParams(frame.split('\r\n')[1]);
    return { number: parameters.get('LS_msg_prog'), text: parameters.get('LS_message').replace('CHAT|', '') };
  }
}

/** The line by which a server shows a message to the room. */
export function update(message, { at = Date.now(), ip = '192.0.2.7', agent = 'Someone/1.0' } = {}) {
  const escape = (text) => text.replace(/[\r\n|%]|^[#$^]/g, encodeURIComponent);
  return `U,1,1,${[message, ip, agent, '00:00:00', String(at)].map(escape).join('|')}`;
}
