import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { formatErrorsDoc } from '../../../scripts/errors-doc.ts'
import { ERROR_TABLE, type ErrorEntry, HeadwaterError } from './errors.ts'

const entries: [string, ErrorEntry][] = Object.entries(ERROR_TABLE)

describe('the error table', () => {
  test('is in alphabetical order, so that a code is found and two additions do not collide', () => {
    const codes = entries.map(([code]) => code)
    expect(codes).toEqual(codes.toSorted())
  })

  test.each(entries)('%s has a code of the wire protocol, a status and help', (code, entry) => {
    expect(code).toMatch(/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/)
    expect(entry.wireCode).toMatch(/^PSYNC_[RS]\d{4}$/)
    expect(entry.status).toBeGreaterThanOrEqual(400)
    expect(entry.help).toMatch(/\.$/)
  })

  test('tells clients to drop their token for problems of the token only, since they look for S21 in the text', () => {
    for (const [code, entry] of entries) {
      expect([code, entry.wireCode.startsWith('PSYNC_S21'), entry.status === 401]).toEqual([
        code,
        code.startsWith('auth-'),
        code.startsWith('auth-'),
      ])
    }
  })

  test('is what docs/reference/errors.md says', () => {
    const page = readFileSync(join(import.meta.dirname, '../../../docs/reference/errors.md'), 'utf8')
    expect(
      page,
      'docs/reference/errors.md differs from the table: run `npx node --conditions=@headwater/source scripts/write-errors-doc.ts`',
    ).toBe(formatErrorsDoc())
  })
})

test('an error carries its code and its cause', () => {
  const cause = new Error('socket hang up')
  const error = new HeadwaterError('jwks-unavailable', 'Cannot fetch keys', { cause })
  expect(error).toMatchObject({ code: 'jwks-unavailable', message: 'Cannot fetch keys', cause, name: 'HeadwaterError' })
})
