import { expect, test } from 'vitest'
import { parseLsn } from './lsn.ts'
import { encodeStandbyStatus, readKeepalive, readServerEnd } from './stream-protocol.ts'

test('a status names exactly the durable position, never the byte after it', () => {
  const status = encodeStandbyStatus(parseLsn('16/B374D848'), Date.UTC(2000, 0, 1, 0, 0, 1), true)
  expect(status.toString('hex')).toBe('7200000016b374d84800000016b374d84800000016b374d84800000000000f424001')
})

test('a keepalive tells how far the server has sent, and whether it wants an answer', () => {
  const chunk = Buffer.from('6b00000016b374d848000303e37e271c3c01', 'hex')
  expect(readKeepalive(chunk)).toEqual({ serverEnd: parseLsn('16/B374D848'), isReplyRequested: true })
})

test('log data tells where the log of the server ends', () => {
  const chunk = Buffer.from('77000000000000000a00000016b374d848000303e37e271c3c42', 'hex')
  expect(readServerEnd(chunk)).toBe(parseLsn('16/B374D848'))
})
