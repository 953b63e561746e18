/** Can the service do its work? Judged by whether canaries come through, and told to orchestrators and the log. */
import { type ErrorCode, ERROR_TABLE } from '@headwater/protocol'
import type { Clock } from './clock.ts'
import type { Health, HealthProblem, HealthStage } from './http/probes.ts'
import type { Log } from './observe/log.ts'
import type { AwaitedStatus, ReplicationStatus } from './replication/status.ts'

/**
 * How long a canary may be on its way while nothing before it moves on. With the five seconds from one canary to the
 * next, this says within 15 s that something is stuck.
 */
export const STUCK_MS = 7_000

/**
 * Ready: a canary has come through, and the next one is not stuck. Behind a large transaction or a copy it waits for as
 * long as those take, and the service stays ready. Alive: it need not be started again, which mends neither a source
 * nor a disk.
 */
export function judgeHealth(status: ReplicationStatus, nowMs: number): Health {
  const { phase, canary } = status
  const awaited = canary.awaited
  const isStuck = awaited !== undefined && nowMs - awaited.movedAtMs > STUCK_MS
  const hasFailed = phase.kind === 'failed'
  return {
    started: phase.kind === 'waiting' || phase.kind === 'running',
    ready: !hasFailed && canary.passedAtMs !== undefined && !isStuck,
    touchedAtMs: hasFailed ? (awaited?.sinceMs ?? 0) : nowMs,
    problem:
      awaited === undefined || (canary.passedAtMs !== undefined && !isStuck && !hasFailed)
        ? undefined
        : findProblem(status, awaited),
  }
}

/** In a worker, as long as nothing can be learned from the main process, which was heard last at `sinceMs`. */
export function judgeSilence(sinceMs: number): Health {
  const problem: HealthProblem = { stage: 'main-process', sinceMs, ...WORDS['main-process'] }
  return { started: true, ready: false, touchedAtMs: sinceMs, problem }
}

function findProblem({ phase, connection }: ReplicationStatus, { sinceMs, next }: AwaitedStatus): HealthProblem {
  if (phase.kind === 'failed' || phase.kind === 'waiting') {
    const stage = stageOf(phase.code)
    return { stage, sinceMs, code: phase.code, ...WORDS[stage], remedy: ERROR_TABLE[phase.code].help }
  }
  if (phase.kind !== 'running') return { stage: 'start', sinceMs, ...WORDS.start }
  const copying = connection?.copies.filter(({ isDone, mode }) => mode === 'first' && !isDone) ?? []
  if (next === 'checkpoint' && copying.length > 0) {
    const tables = copying.slice(0, TABLES_MAX).map(({ table }) => table)
    const more = copying.length - tables.length
    const reason = `The first copy runs: ${tables.join(', ')}${more > 0 ? ` and ${more} more` : ''}`
    return { stage: 'copy', sinceMs, reason, remedy: WORDS.copy.remedy }
  }
  return { stage: next, sinceMs, ...WORDS[next] }
}

/** Named in a reason. */
const TABLES_MAX = 5

function stageOf(code: ErrorCode): HealthStage {
  if (code.startsWith('storage-')) return 'storage'
  return code.startsWith('slot-') ? 'slot' : 'source'
}

/** For strangers too: probes need no token. The log and `/api/admin/v1/diagnostics` say more. */
const WORDS: { readonly [Stage in HealthStage]: Pick<HealthProblem, 'reason' | 'remedy'> } = {
  'main-process': {
    reason: 'The process that replicates does not answer this worker',
    remedy: 'See its CPU and its memory, and the log. Workers end with it; start the service again if it stays so.',
  },
  start: {
    reason: 'Replication has not begun yet',
    remedy: 'Wait; if it stays so, see what the log says of the source.',
  },
  source: {
    reason: 'The source database does not answer, or does not take what the service writes into its log',
    remedy: 'See that the source runs, can be reached and commits. The service connects again by itself.',
  },
  slot: {
    reason: 'The replication slot cannot be read',
    remedy: 'See who else reads the slot. The service tries again by itself.',
  },
  wal: {
    reason: 'The log of the source does not arrive',
    remedy:
      'See whether the network lets the replication connection through, and what its WAL sender does (pg_stat_replication). The service connects again when nothing is heard for twice wal_sender_timeout.',
  },
  storage: {
    reason: 'What the source has changed cannot be stored',
    remedy:
      'See the disk under storage.path: is it full, slow, or locked by another process? The service goes on by itself.',
  },
  checkpoint: {
    reason: 'What is stored is not shown to clients',
    remedy: 'See the log. Start the service again if it stays so, and please report it.',
  },
  copy: {
    reason: 'The first copy runs',
    remedy:
      'Wait until it ends; headwater status shows how far it is. A transaction that is open for long at the source holds it up.',
  },
}

const LOOK_MS = 1_000

/** Tells the log when the service gets ready and when it stops being so, until `signal` aborts. */
export async function watchHealth(
  read: () => Health,
  { clock, log }: { readonly clock: Clock; readonly log: Pick<Log, 'info' | 'warn'> },
  signal: AbortSignal,
): Promise<void> {
  let wasReady: boolean | undefined
  let stage: HealthStage | undefined
  while (!signal.aborted) {
    const { ready, problem } = read()
    if (ready && wasReady !== true) log.info('service-ready')
    if (!ready && (wasReady === true || (wasReady === false && problem?.stage !== stage))) {
      log.warn('service-not-ready', {
        stage: problem?.stage,
        code: problem?.code,
        reason: problem?.reason,
        sinceMs: problem?.sinceMs,
      })
    }
    wasReady = ready
    stage = problem?.stage
    await clock.wait(LOOK_MS, signal)
  }
}
