import { resolve } from 'node:path'
import { release, type } from 'node:os'
import { HeadwaterDatabase as CoreDatabase } from '../database.ts'
import type { HeadwaterDatabaseOptions } from '../database-options.ts'
import type { Schema } from '../schema/schema.ts'
import type { SqliteConnection } from '../sqlite/driver.ts'
import { createNodeDriver } from './node-driver.ts'

export type NodeOpenOptions = {
  readonly dbFilename: string
  /** Directory; it must exist. Default: the working directory. */
  readonly dbLocation?: string
  /** Connections for reading beside the writer, 0 … 16; default 4. */
  readonly readWorkerCount?: number
  readonly initializeConnection?: (connection: SqliteConnection, isWriter: boolean) => Promise<void>
}

export type NodeDatabaseOptions<S extends Schema = Schema> = HeadwaterDatabaseOptions<S> & {
  readonly database: NodeOpenOptions
}

const READERS = 4

/** The database for Node: `new HeadwaterDatabase({ schema, database: { dbFilename: 'app.db' } })`. */
export class HeadwaterDatabase<S extends Schema = Schema> extends CoreDatabase<S> {
  constructor(options: NodeDatabaseOptions<S>) {
    const { database, ...parts } = options
    const { dbFilename, dbLocation = '', readWorkerCount = READERS } = database
    super({
      ...parts,
      userAgent: parts.userAgent ?? `headwater-js node/${process.versions.node} ${type()}/${release()}`,
      driver: createNodeDriver({
        path: dbFilename === ':memory:' ? dbFilename : resolve(dbLocation, dbFilename),
        readersMax: readWorkerCount,
        initializeConnection: database.initializeConnection,
      }),
    })
  }
}
