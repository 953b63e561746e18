export { createWebDriver } from './driver.ts'
export type { WebDriverOptions } from './driver.ts'
export type { SqliteConnection, SqliteDriver, SqliteValue, StatementResult } from '../sqlite/driver.ts'
