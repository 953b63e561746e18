import { describe, expect, test } from 'vitest'
import { negotiateEncoding, negotiateFormat } from './negotiate.ts'

const BSON = 'application/vnd.powersync.bson-stream'
const NDJSON = 'application/x-ndjson'

describe('the line format', () => {
  test.each([
    [undefined, 'ndjson'],
    ['', 'ndjson'],
    ['*/*', 'ndjson'],
    ['text/html', 'ndjson'],
    [NDJSON, 'ndjson'],
    [BSON, 'bson'],
    [`${BSON};q=0.9,${NDJSON};q=0.8`, 'bson'],
    [`${NDJSON};q=0.8, ${BSON} ; q=0.9`, 'bson'],
    [`${BSON};q=0.8,${NDJSON};q=0.9`, 'ndjson'],
    [`${BSON},${NDJSON}`, 'ndjson'],
    [`${BSON};q=0.5,*/*;q=0.5`, 'ndjson'],
    [`${BSON},*/*;q=0.1`, 'bson'],
    [`${BSON};q=0.5,application/*`, 'ndjson'],
    [`${BSON};q=0`, 'ndjson'],
    [`${BSON};q=nonsense`, 'ndjson'],
    [BSON.toUpperCase(), 'bson'],
  ])('for "Accept: %s" is %s', (accept, format) => {
    expect(negotiateFormat(accept)).toBe(format)
  })
})

describe('the content encoding', () => {
  test.each([
    [undefined, 'identity'],
    ['', 'identity'],
    ['identity', 'identity'],
    ['br', 'identity'],
    ['gzip', 'gzip'],
    ['gzip;q=0.1', 'gzip'],
    ['gzip;q=0', 'identity'],
    ['gzip, deflate, br, zstd', 'zstd'],
    ['zstd;q=0.5, gzip', 'gzip'],
    ['identity, gzip;q=0.5', 'identity'],
    ['identity, gzip', 'gzip'],
    ['*', 'zstd'],
    ['*;q=0', 'identity'],
    ['zstd;q=0, *', 'gzip'],
  ])('for "Accept-Encoding: %s" is %s', (accept, encoding) => {
    expect(negotiateEncoding(accept)).toBe(encoding)
  })
})
