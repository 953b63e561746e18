import type { Plan } from '@headwater/sync-config'
import type { SlotState } from '../postgres/slot.ts'
import type { GenerationOrigin, ResumePoint } from '../storage/storage.ts'
import { formatLsn } from '../postgres/lsn.ts'

/** Go on where storage stands, or build everything anew and why. */
export type StartDecision =
  | { readonly kind: 'resume' }
  | { readonly kind: 'rebuild'; readonly reason: string; readonly dropsSlot: boolean }

export type StartFacts = {
  readonly resume: ResumePoint | undefined
  readonly slot: SlotState | undefined
  readonly systemId: string
  readonly slotName: string
  readonly database: string
  readonly plan: Plan
  /** The publication did not exist: what was changed meanwhile is not in the stream. */
  readonly wasUnpublished: boolean
  /** An operator wants everything built anew. */
  readonly isAnew: boolean
}

/**
 * What was replicated may be built upon only when it came from this very server, with the same plan, and the slot has
 * nothing confirmed that we do not have: the server does not say by itself that it skips something.
 */
export function decideStart(facts: StartFacts): StartDecision {
  const { resume, slot, systemId, slotName, database, plan } = facts
  const isOurs = slot === undefined || slot.database === database
  if (!isOurs) return rebuild(`the slot belongs to the database "${slot.database}"`, false)
  const isLost = slot !== undefined && (slot.walStatus === 'lost' || slot.confirmed === undefined)
  if (isLost) return rebuild('Postgres dropped the log that the slot needs (max_slot_wal_keep_size)', true)
  if (resume === undefined) return rebuild('nothing is stored yet', false)
  if (facts.isAnew) return rebuild('an operator asked for it', false)
  // The slot must go too: its past does not know a publication that was made later.
  if (facts.wasUnpublished) return rebuild('the publication was gone', slot !== undefined)
  const { origin } = resume
  if (origin.systemId !== systemId) return rebuild('the source is another server than before', false)
  if (origin.plan.hash !== plan.hash) return rebuild('the sync config changed', false)
  if (origin.slot !== slotName) return rebuild(`the slot was "${origin.slot}" before`, false)
  // Stopped between starting the generation and making its slot: what is stored is still empty.
  if (slot === undefined) return resume.resume === undefined ? { kind: 'resume' } : rebuild('the slot is gone', false)
  const { confirmed } = slot
  if (confirmed !== undefined && resume.resume !== undefined && confirmed > resume.resume) {
    return rebuild(
      `the slot was moved to ${formatLsn(confirmed)}, past what is stored (${formatLsn(resume.resume)})`,
      false,
    )
  }
  return { kind: 'resume' }
}

export function toOrigin({ systemId, slotName, plan }: StartFacts): GenerationOrigin {
  return { systemId, slot: slotName, plan }
}

function rebuild(reason: string, dropsSlot: boolean): StartDecision {
  return { kind: 'rebuild', reason, dropsSlot }
}
