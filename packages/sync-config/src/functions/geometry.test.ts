import { describe, expect, test } from 'vitest'
import { decodeHex } from '../values/hex.ts'
import { EvaluationError } from '../values/value.ts'
import { stAsGeoJson, stAsText, stX, stY } from './geometry-functions.ts'

/** Little-endian well-known binary as hexadecimal text: numbers are doubles, `u32` counts and types. */
function wkb(...parts: readonly (number | { readonly u32: number } | string)[]): string {
  return parts
    .map((part) => {
      if (typeof part === 'string') return part
      const view = new DataView(new ArrayBuffer(typeof part === 'number' ? 8 : 4))
      if (typeof part === 'number') view.setFloat64(0, part, true)
      else view.setUint32(0, part.u32, true)
      return [...new Uint8Array(view.buffer)].map((byte) => byte.toString(16).padStart(2, '0')).join('')
    })
    .join('')
}

const u32 = (value: number): { readonly u32: number } => ({ u32: value })
const [Z, M, SRID] = [0x8000_0000, 0x4000_0000, 0x2000_0000]
const point = (...numbers: readonly number[]): string => wkb('01', u32(1), ...numbers)

describe('every kind of geometry', () => {
  test.each([
    ['point', point(1, 2.5), 'POINT(1 2.5)', '{"type":"Point","coordinates":[1.0,2.5]}'],
    [
      'big-endian point',
      '00000000013FF00000000000004000000000000000',
      'POINT(1 2)',
      '{"type":"Point","coordinates":[1.0,2.0]}',
    ],
    [
      'point with z (PostGIS)',
      wkb('01', u32((1 | Z) >>> 0), 1, 2, 3),
      'POINT Z (1 2 3)',
      '{"type":"Point","coordinates":[1.0,2.0,3.0]}',
    ],
    [
      'point with z (ISO)',
      wkb('01', u32(1001), 1, 2, 3),
      'POINT Z (1 2 3)',
      '{"type":"Point","coordinates":[1.0,2.0,3.0]}',
    ],
    [
      'point with m',
      wkb('01', u32((1 | M) >>> 0), 1, 2, 3),
      'POINT M (1 2 3)',
      '{"type":"Point","coordinates":[1.0,2.0]}',
    ],
    [
      'point with both',
      wkb('01', u32((1 | Z | M) >>> 0), 1, 2, 3, 4),
      'POINT ZM (1 2 3 4)',
      '{"type":"Point","coordinates":[1.0,2.0,3.0]}',
    ],
    [
      'point with both (ISO)',
      wkb('01', u32(3001), 1, 2, 3, 4),
      'POINT ZM (1 2 3 4)',
      '{"type":"Point","coordinates":[1.0,2.0,3.0]}',
    ],
    [
      'point with a reference system',
      wkb('01', u32((1 | SRID) >>> 0), u32(4326), -1.5, 0),
      'POINT(-1.5 0)',
      '{"type":"Point","coordinates":[-1.5,0.0]}',
    ],
    ['empty point', point(Number.NaN, Number.NaN), 'POINT EMPTY', '{"type":"Point","coordinates":[]}'],
    [
      'empty point with z',
      wkb('01', u32((1 | Z) >>> 0), Number.NaN, Number.NaN, Number.NaN),
      'POINT Z EMPTY',
      '{"type":"Point","coordinates":[]}',
    ],
    [
      'line',
      wkb('01', u32(2), u32(2), 0, 0, 1, 1),
      'LINESTRING(0 0,1 1)',
      '{"type":"LineString","coordinates":[[0.0,0.0],[1.0,1.0]]}',
    ],
    ['empty line', wkb('01', u32(2), u32(0)), 'LINESTRING EMPTY', '{"type":"LineString","coordinates":[]}'],
    [
      'polygon with a hole',
      wkb('01', u32(3), u32(2), u32(3), 0, 0, 9, 0, 0, 0, u32(3), 1, 1, 2, 1, 1, 1),
      'POLYGON((0 0,9 0,0 0),(1 1,2 1,1 1))',
      '{"type":"Polygon","coordinates":[[[0.0,0.0],[9.0,0.0],[0.0,0.0]],[[1.0,1.0],[2.0,1.0],[1.0,1.0]]]}',
    ],
    [
      'points',
      wkb('01', u32(4), u32(2), point(1, 2), point(3, 4)),
      'MULTIPOINT(1 2,3 4)',
      '{"type":"MultiPoint","coordinates":[[1.0,2.0],[3.0,4.0]]}',
    ],
    [
      'lines',
      wkb('01', u32(5), u32(2), wkb('01', u32(2), u32(1), 1, 2), wkb('01', u32(2), u32(0))),
      'MULTILINESTRING((1 2),EMPTY)',
      '{"type":"MultiLineString","coordinates":[[[1.0,2.0]],[]]}',
    ],
    [
      'polygons',
      wkb('01', u32(6), u32(1), wkb('01', u32(3), u32(1), u32(1), 1, 2)),
      'MULTIPOLYGON(((1 2)))',
      '{"type":"MultiPolygon","coordinates":[[[[1.0,2.0]]]]}',
    ],
    [
      'collection in which a part has another byte order',
      wkb('01', u32(7), u32(2), '00000000013FF00000000000004000000000000000', wkb('01', u32(2), u32(0))),
      'GEOMETRYCOLLECTION(POINT(1 2),LINESTRING EMPTY)',
      '{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[1.0,2.0]},{"type":"LineString","coordinates":[]}]}',
    ],
    [
      'empty collection',
      wkb('01', u32(7), u32(0)),
      'GEOMETRYCOLLECTION EMPTY',
      '{"type":"GeometryCollection","geometries":[]}',
    ],
  ])('%s', (_name, hex, text, json) => {
    for (const value of [hex, hex.toUpperCase(), decodeHex(hex)]) {
      expect(stAsText(value)).toBe(text)
      expect(stAsGeoJson(value)).toBe(json)
    }
  })
})

test('the coordinates of a point are reals, and other geometries have none', () => {
  expect([stX(point(1, 2.5)), stY(point(1, 2.5))]).toEqual([1, 2.5])
  for (const other of [
    wkb('01', u32(2), u32(1), 1, 2),
    point(Number.NaN, Number.NaN),
    wkb('01', u32(4), u32(1), point(1, 2)),
  ]) {
    expect([stX(other), stY(other)]).toEqual([null, null])
  }
})

test('NULL and numbers have no geometry', () => {
  for (const call of [stX, stY, stAsText, stAsGeoJson]) {
    expect([call(null), call(5n), call(1.5), call()]).toEqual([null, null, null, null])
  }
})

describe('malformed', () => {
  const deep = wkb(...Array.from({ length: 40 }, () => wkb('01', u32(7), u32(1))), point(1, 2))

  test.each([
    ['no bytes', ''],
    ['text', 'POINT(1 2)'],
    ['half a byte', `${point(1, 2)}0`],
    ['too short', point(1, 2).slice(0, -2)],
    ['too long', `${point(1, 2)}00`],
    ['byte order', wkb('02', u32(1), 1, 2)],
    ['an unknown type', wkb('01', u32(8), u32(0))],
    ['type 0', wkb('01', u32(0))],
    ['an unknown dimension', wkb('01', u32(4001), 1, 2, 3, 4)],
    ['a count beyond the end', wkb('01', u32(2), u32(0xffff_ffff), 1, 2)],
    ['a count of parts beyond the end', wkb('01', u32(7), u32(0xffff_ffff), point(1, 2))],
    ['points that are lines', wkb('01', u32(4), u32(1), wkb('01', u32(2), u32(0)))],
    ['collections in collections in collections', deep],
  ])('%s', (_name, hex) => {
    expect(() => stAsText(hex)).toThrow(EvaluationError)
    expect(() => stX(hex)).toThrow(EvaluationError)
  })
})
