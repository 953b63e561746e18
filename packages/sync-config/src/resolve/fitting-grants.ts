import { type BucketName, type BucketReason, HeadwaterError, type StreamError } from '@headwater/protocol'
import type { GrantedBucket, Turn } from '../types.ts'

/** Buckets that one route of an evaluation gives. */
export type Grant = { readonly buckets: readonly BucketName[]; readonly priority: number }

/** One evaluation of one stream, by default or for one subscription. */
export type Evaluated = {
  readonly stream: string
  /** No other evaluation has the same. */
  readonly reason: BucketReason
  /** May go without the others: the client looks at what is said of single streams. */
  readonly mayBeLeftOut: boolean
  readonly grants: readonly Grant[]
}

export type Failure = {
  readonly stream: string
  readonly error: StreamError
  /** Of one that exceeds a limit: for the log, with its numbers. */
  readonly exceeded?: string
}

export type Fitting = { readonly buckets: readonly GrantedBucket[]; readonly leftOut: readonly Failure[] }

/** Streams named in the message about too many buckets. */
const NAMED_STREAMS_MAX = 10

/**
 * The buckets of the evaluations that fit into `bucketsMax` together, taken in order: the most urgent first, then those
 * of the config, then as the client has listed them. What was there before stays so, as a rule, and what was added is
 * left out. Throws `too-many-buckets` when some that may not be left out do not fit.
 */
export async function takeFitting(evaluated: readonly Evaluated[], bucketsMax: number, turn: Turn): Promise<Fitting> {
  const all = await mergeGrants(evaluated, turn)
  if (all.length <= bucketsMax) return { buckets: all, leftOut: [] }
  const taken = new Set<BucketName>()
  const fitting: Evaluated[] = []
  const leftOut: Failure[] = []
  for (const one of evaluated.toSorted(byNeed)) {
    const own = await bucketsOf([one], turn)
    const added: BucketName[] = []
    for (const bucket of own) {
      if (turn.isOverAfterStep()) await turn.next()
      if (!taken.has(bucket)) added.push(bucket)
    }
    const total = taken.size + added.length
    if (total <= bucketsMax) {
      for (const bucket of added) {
        if (turn.isOverAfterStep()) await turn.next()
        taken.add(bucket)
      }
      fitting.push(one)
    } else if (one.mayBeLeftOut) {
      const exceeded = `${own.size} buckets of stream ${JSON.stringify(one.stream)} would make ${total}`
      leftOut.push(leaveOut(one, { message: `Too many buckets (limit of ${bucketsMax})`, exceeded }))
    } else {
      throw await tooMany(evaluated, { bucketsMax, total: all.length, turn })
    }
  }
  return { buckets: await mergeGrants(fitting, turn), leftOut }
}

/** `message` is for the client, the same as long as it is over the limit: another one is another checkpoint line. */
export function leaveOut(
  { stream, reason }: Pick<Evaluated, 'stream' | 'reason'>,
  { message, exceeded }: { readonly message: string; readonly exceeded: string },
): Failure {
  const subscription = reason.kind === 'default' ? 'default' : reason.subscription
  return { stream, error: { subscription, message: `[PSYNC_S2305] ${message}` }, exceeded }
}

type Merged = { readonly bucket: BucketName; priority: number; reasons: BucketReason[] }

/** One entry a bucket, with the most urgent priority and every reason that leads to it. */
async function mergeGrants(evaluated: readonly Evaluated[], turn: Turn): Promise<readonly GrantedBucket[]> {
  const merged = new Map<BucketName, Merged>()
  for (const { reason, grants } of evaluated) {
    const onlyReason = [reason]
    for (const { buckets, priority } of grants) {
      for (const bucket of buckets) {
        if (turn.isOverAfterStep()) await turn.next()
        const known = merged.get(bucket)
        if (known === undefined) merged.set(bucket, { bucket, priority, reasons: onlyReason })
        else addGrant(known, priority, reason)
      }
    }
  }
  return [...merged.values()]
}

function addGrant(known: Merged, priority: number, reason: BucketReason): void {
  known.priority = Math.min(known.priority, priority)
  if (known.reasons.at(-1) === reason) return
  // Buckets for one reason share the list of it.
  if (known.reasons.length === 1) known.reasons = [...known.reasons, reason]
  else known.reasons.push(reason)
}

function byNeed(a: Evaluated, b: Evaluated): number {
  return Number(a.mayBeLeftOut) - Number(b.mayBeLeftOut) || mostUrgent(a) - mostUrgent(b)
}

function mostUrgent({ grants }: Evaluated): number {
  return grants.reduce(
    (least, { buckets, priority }) => (buckets.length > 0 ? Math.min(least, priority) : least),
    Infinity,
  )
}

async function bucketsOf(evaluated: readonly Evaluated[], turn: Turn): Promise<ReadonlySet<BucketName>> {
  const found = new Set<BucketName>()
  for (const { grants } of evaluated) {
    for (const { buckets } of grants) {
      for (const bucket of buckets) {
        if (turn.isOverAfterStep()) await turn.next()
        found.add(bucket)
      }
    }
  }
  return found
}

async function tooMany(
  evaluated: readonly Evaluated[],
  { bucketsMax, total, turn }: { readonly bucketsMax: number; readonly total: number; readonly turn: Turn },
): Promise<HeadwaterError> {
  const counts: { readonly name: string; readonly count: number }[] = []
  for (const [name, ofStream] of Map.groupBy(evaluated, ({ stream }) => stream)) {
    counts.push({ name, count: (await bucketsOf(ofStream, turn)).size })
  }
  const named = counts
    .filter(({ count }) => count > 0)
    .toSorted((a, b) => b.count - a.count)
    .slice(0, NAMED_STREAMS_MAX)
    .map(({ name, count }) => `${count} from ${JSON.stringify(name)}`)
  return new HeadwaterError(
    'too-many-buckets',
    `Cannot sync: expected at most ${bucketsMax} buckets for one client, got ${total}: ${named.join(', ')}`,
  )
}
