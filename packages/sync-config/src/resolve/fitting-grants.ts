import { type BucketName, type BucketReason, HeadwaterError, type StreamError } from '@headwater/protocol'

/** A bucket that one evaluation of a stream gives. */
export type Grant = {
  readonly bucket: BucketName
  readonly priority: number
  readonly reason: BucketReason
  readonly stream: string
}

/** One evaluation of one stream, by default or for one subscription. */
export type Evaluated = {
  readonly stream: string
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

export type Fitting = { readonly grants: readonly Grant[]; readonly leftOut: readonly Failure[] }

/** Streams named in the message about too many buckets. */
const NAMED_STREAMS_MAX = 10

/**
 * The evaluations that fit into `bucketsMax` together, taken in order: the most urgent first, then those of the config,
 * then as the client has listed them. What was there before stays so, as a rule, and what was added is left out. Throws
 * `too-many-buckets` when some that may not be left out do not fit.
 */
export function takeFitting(evaluated: readonly Evaluated[], bucketsMax: number): Fitting {
  const all = evaluated.flatMap(({ grants }) => grants)
  if (countBuckets(all) <= bucketsMax) return { grants: all, leftOut: [] }
  const taken = new Set<BucketName>()
  const grants: Grant[] = []
  const leftOut: Failure[] = []
  for (const one of evaluated.toSorted(byNeed)) {
    const added = one.grants.filter(({ bucket }) => !taken.has(bucket))
    const total = taken.size + countBuckets(added)
    if (total <= bucketsMax) {
      for (const { bucket } of added) taken.add(bucket)
      for (const grant of one.grants) grants.push(grant)
    } else if (one.mayBeLeftOut) {
      const count = countBuckets(one.grants)
      const exceeded = `${count} buckets of stream ${JSON.stringify(one.stream)} would make ${total}`
      leftOut.push(leaveOut(one, { message: `Too many buckets (limit of ${bucketsMax})`, exceeded }))
    } else {
      throw tooMany(all, bucketsMax)
    }
  }
  return { grants, leftOut }
}

/** `message` is for the client, the same as long as it is over the limit: another one is another checkpoint line. */
export function leaveOut(
  { stream, reason }: Pick<Evaluated, 'stream' | 'reason'>,
  { message, exceeded }: { readonly message: string; readonly exceeded: string },
): Failure {
  const subscription = reason.kind === 'default' ? 'default' : reason.subscription
  return { stream, error: { subscription, message: `[PSYNC_S2305] ${message}` }, exceeded }
}

function byNeed(a: Evaluated, b: Evaluated): number {
  return Number(a.mayBeLeftOut) - Number(b.mayBeLeftOut) || mostUrgent(a) - mostUrgent(b)
}

function mostUrgent({ grants }: Evaluated): number {
  return grants.reduce((least, { priority }) => Math.min(least, priority), Infinity)
}

function countBuckets(grants: readonly Grant[]): number {
  return new Set(grants.map(({ bucket }) => bucket)).size
}

function tooMany(grants: readonly Grant[], bucketsMax: number): HeadwaterError {
  const byStream = Map.groupBy(grants, ({ stream }) => stream)
  const named = Array.from(byStream, ([name, list]) => ({ name, count: countBuckets(list) }))
    .toSorted((a, b) => b.count - a.count)
    .slice(0, NAMED_STREAMS_MAX)
    .map(({ name, count }) => `${count} from ${JSON.stringify(name)}`)
  return new HeadwaterError(
    'too-many-buckets',
    `Cannot sync: expected at most ${bucketsMax} buckets for one client, got ${countBuckets(grants)}: ${named.join(', ')}`,
  )
}
