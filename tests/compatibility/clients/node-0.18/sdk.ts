export { column, PowerSyncDatabase, Schema, Table } from '@powersync/node'
