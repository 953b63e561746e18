import { Column, ColumnType, Schema, Table } from '@powersync/common'
import { WASQLitePowerSyncDatabaseOpenFactory } from '@powersync/web'
import { Buffer } from 'buffer'
import { type OfficialDatabase, TABLES } from '../../device.ts'
import { servePageDevices } from '../../page-devices.ts'

// Asked for by the release where it uses WebSockets.
globalThis.Buffer = Buffer

const TYPES = { text: ColumnType.TEXT, integer: ColumnType.INTEGER, real: ColumnType.REAL }

const tables = Object.entries(TABLES).map(
  ([name, columns]) =>
    new Table({
      name,
      columns: Object.entries(columns).map(([columnName, type]) => new Column({ name: columnName, type: TYPES[type] })),
    }),
)

servePageDevices(
  (dbFilename, logger) =>
    new WASQLitePowerSyncDatabaseOpenFactory({
      schema: new Schema(tables),
      dbFilename,
      flags: { enableMultiTabs: false },
      logger: logger as never,
    }).getInstance() as unknown as OfficialDatabase,
)
