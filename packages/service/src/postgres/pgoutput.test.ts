import { describe, expect, test } from 'vitest'
import { parseLsn } from './lsn.ts'
import { decodeWalMessage, type WalMessage } from './pgoutput.ts'

/** Oids that the tables had in the server that the bytes below come from (PostgreSQL 18.4). */
const D = 0x4005
const F = 0x400d
const I = 0x4012
const N = 0x401a

const EVERY_COLUMN = new Map([
  [D, [true, true, true]],
  [F, [true, true]],
  [I, [true, true]],
  [N, [true]],
])

function decode(hex: string, needed: ReadonlyMap<number, readonly boolean[]> = EVERY_COLUMN): WalMessage {
  // Not at the beginning of its buffer, as in real life.
  const bytes = Buffer.concat([Buffer.from('ffff', 'hex'), Buffer.from(hex, 'hex'), Buffer.from('ee', 'hex')])
  return decodeWalMessage(bytes, 2, bytes.length - 1, needed)
}

/*
 * CREATE TYPE mood AS ENUM ('sad');
 * CREATE TABLE d (id int PRIMARY KEY, t text, m mood); ALTER TABLE d ALTER t SET STORAGE EXTERNAL;
 * CREATE TABLE f (a int, b text); ALTER TABLE f REPLICA IDENTITY FULL;
 * CREATE TABLE i (u text NOT NULL UNIQUE, v text); ALTER TABLE i REPLICA IDENTITY USING INDEX i_u_key;
 * CREATE TABLE n (x int); ALTER TABLE n REPLICA IDENTITY NOTHING;
 */
describe('messages of PostgreSQL, byte for byte', () => {
  test("INSERT INTO d VALUES (1, 'héllo', 'sad'), (2, NULL, NULL)", () => {
    expect(decode('420000000001b917e8000303e37e271c3c000002f3')).toEqual({
      kind: 'begin',
      commitLsn: parseLsn('0/1B917E8'),
      committedAtMs: Date.parse('2026-11-22T22:08:59.083Z'),
      xid: 755,
    })
    expect(decode('59000040027075626c6963006d6f6f6400')).toEqual({
      kind: 'type',
      oid: 0x4002,
      schema: 'public',
      name: 'mood',
    })
    expect(
      decode('52000040057075626c69630064006400030169640000000017ffffffff00740000000019ffffffff006d0000004002ffffffff'),
    ).toEqual({
      kind: 'relation',
      relation: {
        oid: D,
        schema: 'public',
        name: 'd',
        identity: 'default',
        columns: [
          { name: 'id', isKey: true, typeOid: 23, typeModifier: -1 },
          { name: 't', isKey: false, typeOid: 25, typeModifier: -1 },
          { name: 'm', isKey: false, typeOid: 0x4002, typeModifier: -1 },
        ],
      },
    })
    expect(decode('49000040054e0003740000000131740000000668c3a96c6c6f7400000003736164')).toEqual({
      kind: 'insert',
      relationOid: D,
      row: ['1', 'héllo', 'sad'],
      rowBytes: 27,
    })
    expect(decode('49000040054e00037400000001326e6e')).toMatchObject({ row: ['2', null, null] })
    expect(decode('43000000000001b917e80000000001b91818000303e37e271c3c')).toMatchObject({
      kind: 'commit',
      commitLsn: parseLsn('0/1B917E8'),
      endLsn: parseLsn('0/1B91818'),
    })
  })

  test("UPDATE d SET t = 'x' WHERE id = 1, which does not touch the key", () => {
    expect(decode('55000040054e00037400000001317400000001787400000003736164')).toEqual({
      kind: 'update',
      relationOid: D,
      old: undefined,
      oldKind: undefined,
      row: ['1', 'x', 'sad'],
      rowBytes: 22,
    })
  })

  test('UPDATE d SET id = 3 WHERE id = 1, which does', () => {
    expect(decode('55000040054b00037400000001316e6e4e00037400000001337400000001787400000003736164')).toMatchObject({
      old: ['1', null, null],
      oldKind: 'key',
      row: ['3', 'x', 'sad'],
    })
  })

  test('UPDATE d SET m = NULL WHERE id = 3, whose t is stored out of line', () => {
    expect(decode('55000040054e0003740000000133756e')).toMatchObject({ row: ['3', undefined, null] })
  })

  test('DELETE FROM d WHERE id = 2', () => {
    expect(decode('44000040054b00037400000001326e6e')).toEqual({
      kind: 'delete',
      relationOid: D,
      old: ['2', null, null],
      oldKind: 'key',
    })
  })

  test("INSERT INTO f VALUES (1, 'one'); UPDATE f SET b = 'two'; DELETE FROM f, with the full row as identity", () => {
    expect(decode('520000400d7075626c696300660066000201610000000017ffffffff01620000000019ffffffff')).toMatchObject({
      relation: { identity: 'full', columns: [{ isKey: true }, { isKey: true }] },
    })
    expect(decode('490000400d4e000274000000013174000000036f6e65')).toMatchObject({ row: ['1', 'one'] })
    expect(decode('550000400d4f000274000000013174000000036f6e654e0002740000000131740000000374776f')).toMatchObject({
      old: ['1', 'one'],
      oldKind: 'full',
      row: ['1', 'two'],
    })
    expect(decode('440000400d4f0002740000000131740000000374776f')).toMatchObject({ old: ['1', 'two'], oldKind: 'full' })
  })

  test("INSERT INTO i VALUES ('k', 'v'); UPDATE i SET u = 'l'; DELETE FROM i, with an index as identity", () => {
    expect(decode('52000040127075626c696300690069000201750000000019ffffffff00760000000019ffffffff')).toMatchObject({
      relation: { identity: 'index', columns: [{ isKey: true }, { isKey: false }] },
    })
    expect(decode('55000040124b000274000000016b6e4e000274000000016c740000000177')).toMatchObject({
      old: ['k', null],
      row: ['l', 'w'],
    })
    expect(decode('44000040124b000274000000016c6e')).toMatchObject({ old: ['l', null] })
  })

  test('INSERT INTO n VALUES (7), without any identity', () => {
    expect(decode('520000401a7075626c6963006e006e000100780000000017ffffffff')).toMatchObject({
      relation: { identity: 'nothing', columns: [{ isKey: false }] },
    })
    expect(decode('490000401a4e0001740000000137')).toMatchObject({ row: ['7'] })
  })

  test('TRUNCATE d, f RESTART IDENTITY CASCADE', () => {
    expect(decode('540000000203000040050000400d')).toEqual({ kind: 'truncate', relationOids: [D, F] })
  })

  test("SELECT pg_logical_emit_message(true, 'headwater', 'héllo'), and one outside of a transaction", () => {
    expect(decode('4d010000000001b942b8686561647761746572000000000668c3a96c6c6f')).toEqual({
      kind: 'message',
      isTransactional: true,
      lsn: parseLsn('0/1B942B8'),
      prefix: 'headwater',
      content: Buffer.from('héllo'),
    })
    expect(decode('4d000000000001b943286f7468657200000000076f757473696465')).toMatchObject({
      isTransactional: false,
      prefix: 'other',
    })
  })

  test("pg_replication_origin_xact_setup('16/B374D848', …)", () => {
    expect(decode('4f00000016b374d84866617200')).toEqual({ kind: 'origin', lsn: parseLsn('16/B374D848'), name: 'far' })
  })
})

test('rows of relations that nobody reads are not decoded', () => {
  expect(decode('490000401a4e0001740000000137', new Map())).toEqual({ kind: 'skipped' })
})

test('columns that nobody reads stay undefined', () => {
  const needed = new Map([[D, [true, false, true]]])
  expect(decode('49000040054e0003740000000131740000000668c3a96c6c6f7400000003736164', needed)).toMatchObject({
    row: ['1', undefined, 'sad'],
  })
})

test.each([127, 128, 200, 255, 256, 50_080, 70_000])('a text of %i bytes is read whole, ASCII or not', (length) => {
  for (const text of [
    'x'.repeat(length),
    'é'.repeat(length / 2),
    `\uFFFD${'y'.repeat(length)}`,
    '\u{1F600}'.repeat(length / 4),
  ]) {
    const values = [text, 'z', text]
    const message = Buffer.concat([
      Buffer.from('49000040054e0003', 'hex'),
      ...values.flatMap((value) => {
        const bytes = Buffer.from(value)
        const head = Buffer.from('7400000000', 'hex')
        head.writeUInt32BE(bytes.length, 1)
        return [head, bytes]
      }),
    ])
    expect(decodeWalMessage(message, 0, message.length, EVERY_COLUMN)).toMatchObject({ row: values })
  }
})

test.each([
  ['58', 'unknown message type 0x58'],
  ['490000401a4e000178', 'a column of unknown kind 0x78'],
  ['490000401a4e000174000000ff37', 'length does not add up'],
])('a message that makes no sense is an error: %s', (hex, reason) => {
  expect(() => decode(hex)).toThrow(reason)
})
