import { describe } from 'vitest'
import { appendContract } from './append.contract.ts'
import { checkpointContract, generationContract } from './checkpoint.contract.ts'
import type { OpenStorage } from './example-data.contract.ts'
import { lookupContract } from './lookup.contract.ts'
import { readContract } from './read.contract.ts'
import { revocationContract } from './revocation.contract.ts'

/** What every storage must do. Call it once per implementation, with a function that opens an empty one. */
export function storageContract(name: string, open: OpenStorage): void {
  describe(`${name} keeps the storage contract`, () => {
    appendContract(open)
    readContract(open)
    lookupContract(open)
    checkpointContract(open)
    generationContract(open)
    revocationContract(open)
  })
}
