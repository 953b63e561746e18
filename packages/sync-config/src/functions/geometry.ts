import type { SqliteValue } from '../types.ts'
import { decodeHex } from '../values/hex.ts'
import { EvaluationError } from '../values/value.ts'

/** Coordinates that a point has, in this order; `x` and `y` always. */
export type Dimensions = { readonly hasZ: boolean; readonly hasM: boolean }

/** x, y, then z and m where there are any; undefined for an empty point. */
export type Position = readonly number[] | undefined

export type Geometry = Dimensions &
  (
    | { readonly kind: 'Point'; readonly position: Position }
    | { readonly kind: 'LineString'; readonly positions: readonly Position[] }
    | { readonly kind: 'Polygon'; readonly rings: readonly (readonly Position[])[] }
    | {
        readonly kind: 'MultiPoint' | 'MultiLineString' | 'MultiPolygon' | 'GeometryCollection'
        readonly parts: readonly Geometry[]
      }
  )

/**
 * Reads well-known binary, plain or as PostGIS extends it, as a blob or as hexadecimal text.
 *
 *     byte order (1)  type (4)  [SRID (4)]  content
 *
 * The type has flags for z, m and SRID (PostGIS) or counts in thousands (ISO). NULL and numbers give undefined. Throws
 * `EvaluationError` for anything else.
 */
export function readGeometry(value: SqliteValue): Geometry | undefined {
  if (value === null || typeof value === 'bigint' || typeof value === 'number') return undefined
  const reader = new GeometryReader(typeof value === 'string' ? decodeHex(value) : value)
  const geometry = reader.read(1)
  reader.expectEnd()
  return geometry
}

const FLAG_Z = 0x8000_0000
const FLAG_M = 0x4000_0000
const FLAG_SRID = 0x2000_0000
const FLAGS = FLAG_Z | FLAG_M | FLAG_SRID

/** Collections inside each other. */
const DEPTH_MAX = 32

class GeometryReader {
  readonly #view: DataView
  #at = 0
  #littleEndian = true

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** Each geometry inside another says its byte order and type again. */
  read(depth: number): Geometry {
    if (depth > DEPTH_MAX) throw malformed(`at most ${DEPTH_MAX} geometries inside each other`)
    this.#littleEndian = this.#readByteOrder()
    const type = this.#readCount()
    if ((type & FLAG_SRID) !== 0) this.#take(4)
    const plain = (type & ~FLAGS) >>> 0
    const thousands = Math.floor(plain / 1000)
    if (thousands > 3) throw malformed('a type of geometry')
    const dimensions = {
      hasZ: (type & FLAG_Z) !== 0 || thousands === 1 || thousands === 3,
      hasM: (type & FLAG_M) !== 0 || thousands >= 2,
    }
    return this.#readContent(plain % 1000, dimensions, depth)
  }

  expectEnd(): void {
    if (this.#at < this.#view.byteLength) throw malformed('nothing behind the geometry')
  }

  #readContent(type: number, dimensions: Dimensions, depth: number): Geometry {
    const readPosition = (): Position => this.#readPosition(dimensions)
    const readParts = (kind: Geometry['kind']): readonly Geometry[] =>
      this.#readList(() => {
        const part = this.read(depth + 1)
        if (part.kind !== kind) throw malformed(`only parts of kind ${kind}, got a ${part.kind}`)
        return part
      })
    switch (type) {
      case 1:
        return { ...dimensions, kind: 'Point', position: readPosition() }
      case 2:
        return { ...dimensions, kind: 'LineString', positions: this.#readList(readPosition) }
      case 3:
        return { ...dimensions, kind: 'Polygon', rings: this.#readList(() => this.#readList(readPosition)) }
      case 4:
        return { ...dimensions, kind: 'MultiPoint', parts: readParts('Point') }
      case 5:
        return { ...dimensions, kind: 'MultiLineString', parts: readParts('LineString') }
      case 6:
        return { ...dimensions, kind: 'MultiPolygon', parts: readParts('Polygon') }
      case 7:
        return { ...dimensions, kind: 'GeometryCollection', parts: this.#readList(() => this.read(depth + 1)) }
      default:
        throw malformed('a point, a line, a polygon, or several')
    }
  }

  /** An empty point has NaN for every coordinate. */
  #readPosition({ hasZ, hasM }: Dimensions): Position {
    const position = [this.#readDouble(), this.#readDouble()]
    if (hasZ) position.push(this.#readDouble())
    if (hasM) position.push(this.#readDouble())
    return position.every(Number.isNaN) ? undefined : position
  }

  #readList<Part>(readPart: () => Part): readonly Part[] {
    const count = this.#readCount()
    const littleEndian = this.#littleEndian
    const parts: Part[] = []
    while (parts.length < count) {
      parts.push(readPart())
      this.#littleEndian = littleEndian
    }
    return parts
  }

  #readByteOrder(): boolean {
    const order = this.#view.getUint8(this.#take(1))
    if (order > 1) throw malformed('a byte order of 0 or 1')
    return order === 1
  }

  #readCount(): number {
    return this.#view.getUint32(this.#take(4), this.#littleEndian)
  }

  #readDouble(): number {
    return this.#view.getFloat64(this.#take(8), this.#littleEndian)
  }

  /** Where the next bytes begin. */
  #take(byteCount: number): number {
    const start = this.#at
    if (start + byteCount > this.#view.byteLength) throw malformed('more bytes')
    this.#at += byteCount
    return start
  }
}

function malformed(expected: string): EvaluationError {
  return new EvaluationError(`Cannot read a geometry: expected ${expected}`)
}
