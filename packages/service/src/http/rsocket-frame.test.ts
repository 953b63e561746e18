import { encodeBson } from '@headwater/protocol'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  decodeClientFrame,
  encodeComplete,
  encodeError,
  encodeKeepalive,
  encodeNext,
  RSOCKET_ERROR,
} from './rsocket-frame.ts'

const SETUP =
  '0000000005000001000000004e2000015f90106170706c69636174696f6e2f6a736f6e106170706c69636174696f6e2f6a736f6e000015' +
  '7b22746f6b656e223a22546f6b656e20616263227d'
const REQUEST_STREAM =
  '0000000119000000000a0000177b2270617468223a222f73796e632f73747265616d227d' +
  '7b226275636b657473223a5b5d2c227261775f64617461223a747275657d'

describe('[protocol 80] a frame of a client', () => {
  test('SETUP has its types, lifetime and metadata', () => {
    expect(decode(SETUP)).toMatchObject({
      kind: 'setup',
      majorVersion: 1,
      wantsResume: false,
      wantsLease: false,
      lifetimeMs: 90_000,
      metadataType: 'application/json',
      dataType: 'application/json',
      metadata: Buffer.from('{"token":"Token abc"}'),
    })
  })

  test('SETUP may ask for resumption, with a token before the types, and for leases', () => {
    const withResume = SETUP.replace('0500', '05c0').replace('00015f90', '00015f900002abcd')
    expect(decode(withResume)).toMatchObject({
      wantsResume: true,
      wantsLease: true,
      dataType: 'application/json',
      metadata: Buffer.from('{"token":"Token abc"}'),
    })
  })

  test('REQUEST_STREAM has its credit, metadata and data', () => {
    expect(decode(REQUEST_STREAM)).toEqual({
      kind: 'request-stream',
      streamId: 1,
      credit: 10,
      metadata: Buffer.from('{"path":"/sync/stream"}'),
      data: Buffer.from('{"buckets":[],"raw_data":true}'),
    })
    expect(decode('00000003180000000001ff')).toMatchObject({ streamId: 3, metadata: undefined, data: Buffer.of(0xff) })
  })

  test.each([
    ['00000001200000000005', { kind: 'request-n', streamId: 1, credit: 5 }],
    ['000000012000ffffffff', { kind: 'request-n', streamId: 1, credit: 4_294_967_295 }],
    ['000000012400', { kind: 'cancel', streamId: 1 }],
    ['000000000c800000000000000000', { kind: 'keepalive', mustRespond: true, data: Buffer.of() }],
    ['000000000c0000000000000000010203', { kind: 'keepalive', mustRespond: false, data: Buffer.of(2, 3) }],
    ['000000002c0000000102', { kind: 'error', streamId: 0 }],
    ['000000003400', { kind: 'resume' }],
    ['0000000031000001', { kind: 'ignored' }],
    ['00000000fe00', { kind: 'ignored' }],
  ])('%s is read', (frame, expected) => {
    expect(decode(frame)).toEqual(expected)
  })

  test.each([
    ['nothing', ''],
    ['half a header', '00000001'],
    ['SETUP on a stream', SETUP.replace('00000000', '00000001')],
    ['SETUP without its types', SETUP.slice(0, 36)],
    ['KEEPALIVE on a stream', '000000010c800000000000000000'],
    ['KEEPALIVE without a position', '000000000c8000000000'],
    ['a request on stream 0', REQUEST_STREAM.replace('00000001', '00000000')],
    ['a request on a stream of the service', REQUEST_STREAM.replace('00000001', '00000002')],
    ['a request in fragments', REQUEST_STREAM.replace('1900', '1980')],
    ['metadata longer than the frame', REQUEST_STREAM.replace('000017', 'ffffff')],
    ['REQUEST_N without a number', '000000012000'],
    ['REQUEST_CHANNEL', '000000011c0000000001'],
    ['PAYLOAD', '000000012820'],
    ['LEASE', '000000000800'],
    ['an unknown type', '00000000fc00'],
  ])('with %s is malformed', (_what, frame) => {
    expect(decode(frame)).toEqual({ kind: 'malformed', problem: expect.any(String) })
  })

  test('never throws, whatever the bytes, and shows none from outside of them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const around = new Uint8Array(bytes.length + 16).fill(0xaa)
        around.set(bytes, 8)
        const inside = around.subarray(8, 8 + bytes.length)
        expect(decodeClientFrame(inside)).toEqual(decodeClientFrame(bytes))
      }),
      { numRuns: 2_000 },
    )
    for (let length = 0; length < SETUP.length / 2; length++) {
      expect(decode(SETUP.slice(0, 2 * length)).kind).toBe('malformed')
    }
  })
})

describe('[protocol 80] a frame of the service', () => {
  test('of a line is a header and the document', () => {
    const line = encodeBson({ token_expires_in: 0 })
    const golden = '0000000128201b00000010746f6b656e5f657870697265735f696e000000000000'
    expect(hex(encodeNext(1, [line]))).toBe(golden)
    expect(hex(encodeNext(1, [line.subarray(0, 5), line.subarray(5)]))).toBe(golden)
  })

  test('of a normal end has nothing but its header', () => {
    expect(hex(encodeComplete(1))).toBe('000000012840')
  })

  test('that answers a KEEPALIVE has its data', () => {
    expect(hex(encodeKeepalive(Buffer.of()))).toBe('000000000c000000000000000000')
    expect(hex(encodeKeepalive(Buffer.of(1, 2)))).toBe('000000000c0000000000000000000102')
  })

  test('of an error has its code and text', () => {
    expect(hex(encodeError(0, RSOCKET_ERROR.rejectedSetup, '[PSYNC_S2103] JWT has expired'))).toBe(
      '000000002c00000000035b5053594e435f53323130335d204a5754206861732065787069726564',
    )
  })
})

function decode(frame: string): ReturnType<typeof decodeClientFrame> {
  return decodeClientFrame(Buffer.from(frame, 'hex'))
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
