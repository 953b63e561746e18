import { HeadwaterDatabase as CoreDatabase } from '../database.ts'
import type { HeadwaterDatabaseOptions } from '../database-options.ts'
import { createConsoleLogger } from '../logger.ts'
import type { Schema } from '../schema/schema.ts'
import { createWebDriver, type WebDriverOptions } from './driver.ts'

export type WebDatabaseOptions<S extends Schema = Schema> = Omit<
  HeadwaterDatabaseOptions<S>,
  'listenForWakeUps' | 'userAgent'
> & {
  /** Where the rows are kept, within this origin. */
  readonly database: Omit<WebDriverOptions, 'logger'>
}

/**
 * The database of a page. Its file lies in the origin's private file system, so it survives reloads; one tab at a time
 * may have it open. Where the browser keeps no files (private windows of some), it lives in memory and a warning says so.
 */
export class HeadwaterDatabase<S extends Schema = Schema> extends CoreDatabase<S> {
  constructor(options: WebDatabaseOptions<S>) {
    const { database, logger = createConsoleLogger(), ...rest } = options
    super({
      ...rest,
      logger,
      driver: createWebDriver({ ...database, logger }),
      userAgent: 'headwater-js/0.1.0 web',
      listenForWakeUps,
    })
  }
}

/** The network is back, or somebody looks at the page: worth trying again at once. */
function listenForWakeUps(wake: () => void): () => void {
  const onVisibility = (): void => {
    if (document.visibilityState === 'visible') wake()
  }
  addEventListener('online', wake)
  document.addEventListener('visibilitychange', onVisibility)
  return () => {
    removeEventListener('online', wake)
    document.removeEventListener('visibilitychange', onVisibility)
  }
}
