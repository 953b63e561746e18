import type { RequestObject } from '@headwater/protocol'
import { expect, test } from 'vitest'
import { readRevocation } from './read-revocation.ts'

const NOW_MS = Date.parse('2030-01-31T12:00:00Z')

test('a revocation is of everything up to now, unless it says more', () => {
  expect(readRevocation({ user_id: 'ann' }, NOW_MS)).toEqual({ userId: 'ann', issuedBeforeMs: NOW_MS })
  expect(readRevocation({ user_id: 'ann', client_id: null, issued_before: null }, NOW_MS)).toEqual({
    userId: 'ann',
    issuedBeforeMs: NOW_MS,
  })
  expect(
    readRevocation(
      { user_id: 'ann', client_id: 'c', token_id: 't', issued_before: '2030-01-31T12:00:00+01:00' },
      NOW_MS,
    ),
  ).toEqual({ userId: 'ann', clientId: 'c', tokenId: 't', issuedBeforeMs: NOW_MS - 3_600_000 })
  expect(readRevocation({ user_id: 'ann', issued_before: 1_896_000_000 }, NOW_MS).issuedBeforeMs).toBe(
    1_896_000_000_000,
  )
})

test.each<[fields: RequestObject, problem: string]>([
  [{}, 'user_id: expected text'],
  [{ user_id: '' }, 'user_id: expected text of 1 to 1000 characters'],
  [{ user_id: 5 }, 'user_id: expected text of 1 to 1000 characters'],
  [{ user_id: 'x'.repeat(1_001) }, 'user_id: expected text of 1 to 1000 characters'],
  [{ user_id: 'ann', client_id: 5 }, 'client_id: expected text'],
  [{ user_id: 'ann', token_id: '' }, 'token_id: expected text'],
  [{ user_id: 'ann', issued_before: 'yesterday' }, 'issued_before: expected a moment'],
  [{ user_id: 'ann', issued_before: '2030-01-31T12:00:00' }, 'issued_before: expected a moment'],
  [{ user_id: 'ann', issued_before: '2030-01-32T12:00:00Z' }, 'issued_before: expected a moment'],
  [{ user_id: 'ann', issued_before: Infinity }, 'issued_before: expected a moment that is not in the future'],
  [{ user_id: 'ann', issued_before: '2030-01-31T12:02:00Z' }, 'issued_before: expected a moment that is not in the'],
])('%j is refused, and told why', (fields, problem) => {
  expect(() => readRevocation(fields, NOW_MS)).toThrow(problem)
})

test('every problem is told at once', () => {
  expect(() => readRevocation({ client_id: 1, issued_before: 'x' }, NOW_MS)).toThrow(
    'Cannot revoke: user_id: expected text; client_id: expected text of 1 to 1000 characters; issued_before: expected',
  )
})
