import { HeadwaterError } from '@headwater/protocol'
import type { Plan } from '@headwater/sync-config'
import type { Log } from '../observe/log.ts'
import { type Arranged, arrangePublication, readSourceFacts, toSetUpError } from '../postgres/check-source.ts'
import type { CatalogTable } from '../postgres/catalog.ts'
import type { Session } from '../postgres/connection.ts'
import { type Lsn, LSN_ZERO } from '../postgres/lsn.ts'
import { readSystemId, type ServerState } from '../postgres/server.ts'
import { createSlot, dropSlot, findSlot, type SlotState } from '../postgres/slot.ts'
import { findSqlState } from '../postgres/source-error.ts'
import { findSourceProblems, type SourceFacts, type SourceProblem } from '../postgres/source-problems.ts'
import type { CopyProgress } from '../storage/delta.ts'
import type { ReplicationStorage } from '../storage/storage.ts'
import { decideStart, type StartFacts, toOrigin } from './origin.ts'

export type PrepareParts = {
  readonly control: Session
  readonly replication: Session
  readonly storage: ReplicationStorage
  readonly plan: Plan
  readonly publication: string
  readonly slot: string
  /** Build everything anew, whatever is stored. */
  readonly isAnew: boolean
  readonly noteSlot: (state: SlotState | undefined) => void
  readonly log: Log
}

/** From where, and into what, this session replicates. */
export type Start = {
  readonly server: ServerState
  readonly generation: number
  /** Undefined: nothing was stored of this generation yet. */
  readonly resume: Lsn | undefined
  readonly copies: readonly CopyProgress[]
  /** Of any client, in this or an earlier generation. */
  readonly highestWriteCheckpoint: bigint
  /** Must a write checkpoint of every client be written into this generation? */
  readonly mustCoverClients: boolean
  /** Tables that were put into the publication just now. */
  readonly published: readonly CatalogTable[]
}

/**
 * Checks the source, makes publication and slot where the role may, and decides whether to go on or to build anew.
 * Throws `source-not-ready` with everything that an operator must do.
 */
export async function prepareSource(parts: PrepareParts): Promise<Start> {
  const { facts, arranged } = await arrange(parts)
  const startFacts: StartFacts = {
    resume: await parts.storage.readResume(),
    slot: facts.slot,
    systemId: await readSystemId(parts.replication),
    slotName: parts.slot,
    database: parts.control.source.database,
    plan: parts.plan,
    wasUnpublished: arranged.isCreated,
    isAnew: parts.isAnew,
  }
  // A slot without anything stored from it: of a storage that was lost, with the write checkpoints that it had.
  const isPerhapsLost = facts.slot !== undefined && startFacts.resume?.resume === undefined
  const generation = await startOrResume(parts, startFacts)
  if ((await findSlot(parts.control, parts.slot)) === undefined) {
    await createSlot(parts.control, parts.slot)
    parts.log.info('slot-created', { slot: parts.slot })
  }
  const resume = await parts.storage.readResume()
  return {
    server: facts.server,
    generation,
    resume: resume?.resume,
    copies: resume?.copies ?? [],
    highestWriteCheckpoint: resume?.highestWriteCheckpoint ?? 0n,
    mustCoverClients: (generation > 1 || isPerhapsLost) && resume?.coversEveryClient === false,
    published: arranged.added,
  }
}

/** Puts right what may be put right, and reports the rest. */
async function arrange(parts: PrepareParts): Promise<{ readonly facts: SourceFacts; readonly arranged: Arranged }> {
  const { control, publication, slot, plan, log } = parts
  const options = { publication, slot, tables: plan.tables }
  const facts = await readSourceFacts(control, options)
  parts.noteSlot(facts.slot)
  const problems = findSourceProblems(facts)
  const error = toSetUpError(problems)
  if (error !== undefined) throw error
  for (const { severity, message, remedy } of problems) {
    if (severity === 'warning') log.warn('source-problem', { message, remedy })
  }
  if (!problems.some(({ severity }) => severity === 'automatic')) return { facts, arranged: NOTHING_ARRANGED }
  const arranged = await runAutomatic(control, facts, problems)
  logArranged(log, publication, arranged)
  return { facts: await readSourceFacts(control, options), arranged }
}

const NOTHING_ARRANGED: Arranged = { isCreated: false, added: [], blocked: [] }

export function logArranged(log: Log, publication: string, { isCreated, added, blocked }: Arranged): void {
  if (isCreated || added.length > 0) log.info('publication-arranged', { publication })
  if (blocked.length === 0) return
  log.warn('publication-waits-for-lock', {
    publication,
    tables: blocked.map(({ schema, name }) => `${schema}.${name}`),
  })
}

const NOT_ALLOWED = '42501'

async function runAutomatic(
  control: Session,
  facts: SourceFacts,
  problems: readonly SourceProblem[],
): Promise<Arranged> {
  try {
    return await arrangePublication(control, facts)
  } catch (error) {
    const state = error instanceof HeadwaterError ? findSqlState(error.cause) : undefined
    if (state !== NOT_ALLOWED) throw error
    throw toSetUpError(problems.map((problem) => ({ ...problem, severity: 'error' as const }))) ?? error
  }
}

async function startOrResume(parts: PrepareParts, facts: StartFacts): Promise<number> {
  const { storage, control, slot, log } = parts
  const decision = decideStart(facts)
  if (decision.kind === 'resume') return facts.resume?.generation ?? 0
  if (facts.slot !== undefined && facts.slot.database !== facts.database) {
    throw new HeadwaterError(
      'source-not-ready',
      `Cannot use the replication slot "${slot}": ${decision.reason}. Give the service a slot name of its own.`,
    )
  }
  if (decision.dropsSlot) await dropSlot(control, slot)
  const generation = await storage.startGeneration(toOrigin(facts))
  log.info('generation-started', { generation, reason: decision.reason })
  return generation
}

/** 0 leaves it to the slot, which knows where it was made. */
export function whereToStart(start: Start): Lsn {
  return start.resume ?? LSN_ZERO
}
