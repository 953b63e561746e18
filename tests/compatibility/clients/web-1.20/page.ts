import { column, PowerSyncDatabase, Schema, Table } from '@powersync/web'
import { type OfficialDatabase, TABLES } from '../../device.ts'
import { servePageDevices } from '../../page-devices.ts'

const tables = Object.entries(TABLES).map(([name, columns]) => [
  name,
  new Table(Object.fromEntries(Object.entries(columns).map(([columnName, type]) => [columnName, column[type]]))),
])

servePageDevices(
  (dbFilename, logger) =>
    new PowerSyncDatabase({
      schema: new Schema(Object.fromEntries(tables)),
      database: { dbFilename },
      flags: { enableMultiTabs: false },
      logger: logger as never,
    }) as unknown as OfficialDatabase,
)
