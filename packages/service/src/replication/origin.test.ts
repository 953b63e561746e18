import type { Plan } from '@headwater/sync-config'
import { expect, test } from 'vitest'
import { toLsn } from '../postgres/lsn.ts'
import type { SlotState } from '../postgres/slot.ts'
import { decideStart, type StartFacts } from './origin.ts'

const plan: Plan = { version: 1, hash: 'h', tables: [], body: {} }
const slot: SlotState = {
  plugin: 'pgoutput',
  database: 'app',
  activePid: undefined,
  confirmed: toLsn(100n),
  walStatus: 'reserved',
  budgetBytes: undefined,
  safeBytes: undefined,
  lagBytes: 0,
  retainedBytes: 0,
}
const facts: StartFacts = {
  resume: {
    generation: 1,
    origin: { systemId: 's', slot: 'headwater', plan },
    resume: toLsn(100n),
    copies: [],
    highestWriteCheckpoint: 0n,
    coversEveryClient: true,
  },
  slot,
  systemId: 's',
  slotName: 'headwater',
  database: 'app',
  plan,
  wasUnpublished: false,
  isAnew: false,
}

test('the same server, plan and slot are gone on with', () => {
  expect(decideStart(facts).kind).toBe('resume')
  expect(decideStart({ ...facts, slot: { ...slot, confirmed: toLsn(40n) } }).kind).toBe('resume')
})

test.each<readonly [string, Partial<StartFacts>]>([
  ['nothing is stored yet', { resume: undefined }],
  ['an operator asked for it', { isAnew: true }],
  ['the source is another server than before', { systemId: 'other' }],
  ['the sync config changed', { plan: { ...plan, hash: 'other' } }],
  ['the slot was "headwater" before', { slotName: 'other' }],
  ['the slot is gone', { slot: undefined }],
  ['the publication was gone', { wasUnpublished: true }],
  ['the slot was moved to 0/65, past what is stored (0/64)', { slot: { ...slot, confirmed: toLsn(101n) } }],
  ['Postgres dropped the log that the slot needs', { slot: { ...slot, walStatus: 'lost' } }],
  ['the slot belongs to the database "app"', { database: 'other' }],
])('everything is built anew when %s', (reason, change) => {
  const decision = decideStart({ ...facts, ...change })
  expect(decision).toMatchObject({ kind: 'rebuild', reason: expect.stringContaining(reason) })
})
