import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ROUTE_LIST } from '../packages/service/src/http/route-table.ts'
import { formatHttpApiDoc, openApiDocument } from './http-api-doc.ts'
import { SCHEMAS } from './http-api-schemas.ts'

const REMEDY = 'run `npx node --conditions=@headwater/source scripts/write-http-api-doc.ts`'
const read = (name: string): string => readFileSync(join(import.meta.dirname, '../docs/reference', name), 'utf8')

test('the page of the HTTP interface is what the table of routes says', () => {
  expect(read('http-api.md'), `http-api.md differs from the table: ${REMEDY}`).toBe(formatHttpApiDoc())
})

test('the OpenAPI document is what the table of routes says, and has every route', () => {
  const document: unknown = JSON.parse(read('http-api.json'))
  expect(document, `http-api.json differs from the table: ${REMEDY}`).toEqual(openApiDocument())
  for (const [name, { method, path }] of ROUTE_LIST) {
    expect(document).toHaveProperty(['paths', path, method.toLowerCase(), 'operationId'], name)
  }
})

test('every schema is referred to, and every reference has its schema', () => {
  const text = JSON.stringify(openApiDocument())
  const referred = [...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map((match) => match[1])
  expect(new Set(referred)).toEqual(new Set(Object.keys(SCHEMAS)))
})
