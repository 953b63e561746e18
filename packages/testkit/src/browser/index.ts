export { startChromium } from './chromium.ts'
export type { Chromium } from './chromium.ts'
export { startPageServer } from './page-server.ts'
export type { PageServer } from './page-server.ts'
