// The official clients, two in Python and one in JavaScript, in one room: through the stand-in server and the adapter.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { AWKWARD, PythonClient, WebClient, launchBrowser, startPlayground } from './support.mjs';

let playground, browser, ann, bob, eve;
const everybody = () => [ann, bob, eve];

before(async () => {
  playground = await startPlayground();
  browser = await launchBrowser();
  ann = new PythonClient(playground.url);
  bob = new PythonClient(playground.url);
  eve = await WebClient.open(browser, playground.url);
  for (const client of everybody()) {
    await client.status('CONNECTED:WS-STREAMING');
    await client.join();
  }
});

after(async () => {
  for (const client of everybody()) await client?.end();
  await browser?.close();
  await playground?.process.end();
});

let marks = 0;

/** Lets everybody receive all that was said so far. */
async function settle() {
  const mark = `mark ${(marks += 1)}`;
  await bob.say(mark);
  for (const client of everybody()) await client.update(mark);
}

/** Says texts one after the other, and awaits them with everybody. */
async function sayAll(client, texts) {
  await settle();
  const from = everybody().map((client) => client.position);
  for (const text of texts) await client.say(text);
  const last = texts.at(-1);
  for (const [at, client] of everybody().entries()) await client.update(last, { from: from[at] });
  for (const [at, client] of everybody().entries()) assert.deepEqual(client.texts(from[at]), texts);
}

test('three official clients receive what each of them says, and who said it', async () => {
  for (const [client, name, agent] of [[ann, 'Ann', /Python|aiohttp/], [bob, 'Bob', /Python|aiohttp/], [eve, 'Eve', /Chrome/]]) {
    await client.say(`I am ${name}`);
    assert.equal((await client.outcome(`CHAT|I am ${name}`)).outcome, 'processed');
    for (const listener of everybody()) {
      const update = await listener.update(`I am ${name}`);
      assert.equal(update.IP, '127.0.0.1');
      assert.match(update.nick, agent);
      assert.match(update.timestamp, /^\d\d:\d\d:\d\d$/);
      assert.ok(Math.abs(Date.now() - Number(update.raw_timestamp)) < 60_000);
      assert.equal(update.snapshot, false);
    }
  }
});

test('texts arrive as they were written, from Python', () => sayAll(bob, AWKWARD));

test('texts arrive as they were written, from JavaScript', () => sayAll(eve, AWKWARD));

test('a message of 10 KiB arrives whole', async () => {
  await sayAll(ann, ['a|b%c+'.repeat(1707).slice(0, 10_240)]);
  await sayAll(eve, ['è'.repeat(5_120)]);
});

test('all see one order, whoever speaks at the same time', async () => {
  await settle();
  const from = everybody().map((client) => client.position);
  const texts = everybody().flatMap((_, who) => Array.from({ length: 20 }, (_, n) => `${who}: ${n}`));
  for (let n = 0; n < 20; n += 1) for (const [who, client] of everybody().entries()) await client.say(`${who}: ${n}`);
  const received = [];
  for (const [at, client] of everybody().entries()) {
    await client.events.all('all the messages', texts.length, (event) => event.kind === 'update', from[at]);
    received.push(client.texts(from[at]));
  }
  assert.deepEqual([...received[0]].sort(), [...texts].sort());
  assert.deepEqual(received[1], received[0]);
  assert.deepEqual(received[2], received[0]);
});

test('a named sequence keeps its order, and every message its outcome', async () => {
  for (const client of [ann, eve]) {
    await settle();
    const [from, mine] = [bob.position, client.position];
    const texts = Array.from({ length: 30 }, (_, n) => `in sequence ${n}`);
    for (const text of texts) await client.send(`CHAT|${text}`, 'ordered');
    await bob.update(texts.at(-1), { from });
    assert.deepEqual(bob.texts(from), texts);
    const outcomes = await client.events.all('the outcomes', 30, (event) => event.kind === 'outcome', mine);
    assert.ok(outcomes.every((event) => event.outcome === 'processed'));
  }
});

test('a refused message is told to its sender, and to nobody else', async () => {
  for (const client of [ann, eve]) {
    for (const message of ['no prefix', 'CHAT|']) {
      await settle();
      const [from, others] = [client.position, bob.position];
      await client.send(message, null);
      assert.equal((await client.outcome(message, from)).outcome, 'error');
      await client.say('after the refusal');
      await bob.update('after the refusal', { from: others });
      assert.deepEqual(bob.texts(others), ['after the refusal']);
    }
  }
});

test('a newcomer gets the last 30 messages, then those to come', async () => {
  const texts = Array.from({ length: 35 }, (_, n) => `history ${n}`);
  await sayAll(bob, texts);
  const late = new PythonClient(playground.url);
  try {
    await late.status('CONNECTED:WS-STREAMING');
    await late.join();
    assert.deepEqual(late.texts(), texts.slice(-30));
    assert.ok(late.events.list.filter((event) => event.kind === 'update').every((event) => event.snapshot));
    await ann.say('welcome');
    assert.equal((await late.update('welcome')).snapshot, false);
  } finally {
    await late.end();
  }
});

test('one session may hold the room twice, leave it and come back', async () => {
  for (const client of [ann, eve]) {
    await settle();
    await client.join('second');
    await bob.say(`to both rooms of ${client.constructor.name}`);
    for (const room of ['room', 'second']) await client.update(`to both rooms of ${client.constructor.name}`, { room });
    await client.unsubscribe('second');
    await client.events.next('to be out', (event) => event.kind === 'unsubscribed' && event.room === 'second');
    const from = client.position;
    await bob.say(`to one room of ${client.constructor.name}`);
    await client.update(`to one room of ${client.constructor.name}`, { from });
    assert.deepEqual(client.texts(from, 'second'), []);
  }
});

test('a subscription to nothing is refused, and one to an item that does not exist stays silent', async () => {
  for (const client of [ann, eve]) {
    await client.subscribe('nothing', '  ');
    const refused = await client.events.next('the refusal', (event) => event.kind === 'refused');
    assert.equal(refused.code, 21);
    assert.match(refused.text, /group is empty/);
    const from = playground.process.lines.list.length;
    await client.subscribe('nowhere', 'nowhere');
    await client.events.next('the subscription', (event) => event.kind === 'subscribed' && event.room === 'nowhere');
    await playground.process.line(/^\* data: no "nowhere": No such item/, from);
    await client.unsubscribe('nowhere');
    await playground.process.line(/^data {5}← .*\|USB\|V/, from);
  }
});

test('who leaves is forgotten, and the room goes on', async () => {
  const guest = new PythonClient(playground.url);
  await guest.status('CONNECTED:WS-STREAMING');
  const from = playground.process.lines.list.length;
  await guest.leave();
  await playground.process.line(/^metadata → .*\|NSC\|/, from);
  await playground.process.line(/^metadata ← .*\|NSC\|V/, from);
  await sayAll(bob, ['still here']);
});
