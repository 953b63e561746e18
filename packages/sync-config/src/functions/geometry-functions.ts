import type { SqliteValue } from '../types.ts'
import { realToJson, valueToText } from '../values/value.ts'
import type { ScalarFunction } from './functions.ts'
import { type Geometry, type Position, readGeometry } from './geometry.ts'

export const stX: ScalarFunction = (value = null) => coordinate(value, 0)
export const stY: ScalarFunction = (value = null) => coordinate(value, 1)

/** Of a point that is not empty; NULL for anything else. */
function coordinate(value: SqliteValue, index: 0 | 1): SqliteValue {
  const geometry = readGeometry(value)
  return geometry?.kind === 'Point' ? (geometry.position?.[index] ?? null) : null
}

/** Well-known text: `POINT Z (1 2 3)`. */
export const stAsText: ScalarFunction = (value = null) => {
  const geometry = readGeometry(value)
  return geometry === undefined ? null : taggedText(geometry)
}

function taggedText(geometry: Geometry): string {
  const { hasZ, hasM } = geometry
  const dimensions = hasZ || hasM ? ` ${hasZ ? 'Z' : ''}${hasM ? 'M' : ''} ` : ''
  const content = contentText(geometry)
  const isEmpty = content === EMPTY && dimensions === ''
  return `${geometry.kind.toUpperCase()}${isEmpty ? ' ' : dimensions}${content}`
}

const EMPTY = 'EMPTY'

function contentText(geometry: Geometry): string {
  switch (geometry.kind) {
    case 'Point':
      return listText([geometry.position].filter((position) => position !== undefined).map(positionText))
    case 'LineString':
      return listText(geometry.positions.map(positionText))
    case 'Polygon':
      return listText(geometry.rings.map((ring) => listText(ring.map(positionText))))
    case 'MultiPoint':
      return listText(geometry.parts.map((part) => (part.kind === 'Point' ? positionText(part.position) : '')))
    case 'MultiLineString':
    case 'MultiPolygon':
      return listText(geometry.parts.map(contentText))
    case 'GeometryCollection':
      return listText(geometry.parts.map(taggedText))
  }
}

function listText(parts: readonly string[]): string {
  return parts.length === 0 ? EMPTY : `(${parts.join(',')})`
}

function positionText(position: Position): string {
  return position === undefined ? EMPTY : position.map((number) => valueToText(number)).join(' ')
}

/** GeoJSON without white space; it knows x, y and z, and no other reference system. */
export const stAsGeoJson: ScalarFunction = (value = null) => {
  const geometry = readGeometry(value)
  return geometry === undefined ? null : geoJson(geometry)
}

function geoJson(geometry: Geometry): string {
  const content =
    geometry.kind === 'GeometryCollection'
      ? `"geometries":[${geometry.parts.map(geoJson).join(',')}]`
      : `"coordinates":${coordinatesJson(geometry)}`
  return `{"type":"${geometry.kind}",${content}}`
}

function coordinatesJson(geometry: Geometry): string {
  const ofPosition = (position: Position): string => positionJson(position, geometry.hasZ)
  switch (geometry.kind) {
    case 'Point':
      return ofPosition(geometry.position)
    case 'LineString':
      return listJson(geometry.positions.map(ofPosition))
    case 'Polygon':
      return listJson(geometry.rings.map((ring) => listJson(ring.map(ofPosition))))
    default:
      return listJson(geometry.parts.map(coordinatesJson))
  }
}

function positionJson(position: Position, hasZ: boolean): string {
  return listJson((position ?? []).slice(0, hasZ ? 3 : 2).map(realToJson))
}

function listJson(parts: readonly string[]): string {
  return `[${parts.join(',')}]`
}
