/** Revoked tokens: kept in storage, given by operators and by a table of the source. */
import type { Revocation } from './auth/revocation.ts'
import { longestLifeSeconds } from './auth/longest-life.ts'
import { createRevocations, type Revocations } from './auth/revocations.ts'
import { systemClock } from './clock.ts'
import type { ServiceSettings } from './config/options.ts'
import type { Log } from './observe/log.ts'
import type { Metrics } from './observe/metrics.ts'
import { watchRevocations } from './replication/watch-revocations.ts'
import type { RevocationStorage } from './storage/storage.ts'

export type RevokingParts = {
  readonly settings: ServiceSettings
  readonly storage: RevocationStorage
  readonly log: Log
  readonly metrics: Metrics
}

/** With what was revoked before. `tell` is called at once with what comes in addition. */
export async function openRevocations(
  { settings, storage, log, metrics }: RevokingParts,
  tell: (added: readonly Revocation[]) => void,
): Promise<Revocations> {
  return createRevocations({
    stored: await storage.readRevocations(),
    store: (change) => {
      tell(change.put)
      return storage.writeRevocations(change)
    },
    lifetimeMaxSeconds: longestLifeSeconds(settings.auth),
    log,
    metrics,
    nowMs: Date.now,
  })
}

/** Adds what the table says from now on, if the settings name one. Gives what ends it. */
export function followRevocationTable(
  { settings, log }: Pick<RevokingParts, 'settings' | 'log'>,
  { add }: Pick<Revocations, 'add'>,
): () => Promise<void> {
  const { revocationTable: table } = settings.auth
  if (table === false) return async () => {}
  const stopping = new AbortController()
  const ended = watchRevocations(
    {
      url: settings.source.url,
      table,
      lifetimeMaxSeconds: longestLifeSeconds(settings.auth),
      add: (revocations) => add(revocations, 'table'),
      clock: systemClock,
      log,
    },
    stopping.signal,
  )
  return () => {
    stopping.abort()
    return ended
  }
}
