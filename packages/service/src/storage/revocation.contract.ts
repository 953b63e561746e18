import { expect, test } from 'vitest'
import type { Revocation } from '../auth/revocation.ts'
import { begin, deltaAt, type OpenStorage, origin, put, slice } from './example-data.contract.ts'

/** What a storage must do with revoked tokens. */
export function revocationContract(open: OpenStorage): void {
  test('revocations are kept through a restart, and replaced by later ones of the same user, client and token', async () => {
    await using opened = await begin(open)
    const everything = revoke({})
    const ofClient = revoke({ clientId: 'phone', tokenId: 't1' })
    await opened.storage.writeRevocations({ put: [everything, ofClient, revoke({ userId: 'bob' })], drop: [] })
    const later = revoke({ issuedBeforeMs: 2_000 })
    await opened.storage.writeRevocations({ put: [later], drop: [revoke({ userId: 'bob' })] })
    const storage = await opened.reopen()
    expect(new Set(await storage.readRevocations())).toEqual(new Set([later, ofClient]))
  })

  test('revocations are durable while a transaction is stored in slices, and outlive a generation', async () => {
    await using opened = await begin(open)
    const { storage } = opened
    await storage.append(deltaAt(10, {}))
    await storage.append(slice({ operations: [put('todos', 'T1')] }))
    await storage.writeRevocations({ put: [revoke({})], drop: [] })
    await storage.rollback()
    await storage.startGeneration(origin())
    expect(await storage.readRevocations()).toEqual([revoke({})])
  })
}

function revoke(revocation: Partial<Revocation>): Revocation {
  return { userId: 'ann', clientId: undefined, tokenId: undefined, issuedBeforeMs: 1_000, ...revocation }
}
