export { createWebDriver } from './driver.ts'
export type { WebDriverOptions } from './driver.ts'
