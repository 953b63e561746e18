/** Releases of `@powersync/web` in headless Chromium, each device in a page of its own. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Chromium, startChromium } from '@headwater/testkit/browser'
import { build, preview } from 'vite'
import { type App, type Device } from './device.ts'

export type WebRelease = '2.4' | '1.20' | '0.8'

type Site = AsyncDisposable & { readonly url: string }

let chromium: Promise<Chromium> | undefined
let lastDatabase = 0
const sites = new Map<WebRelease, Promise<Site>>()

/** Starts the browser, and builds the page of the release, when they are first needed; `closeBrowser` ends both. */
export async function openBrowserDevice(release: WebRelease, app: App): Promise<Device> {
  chromium ??= startChromium()
  const site = sites.get(release) ?? buildSite(release)
  sites.set(release, site)
  const [{ context }, { url }] = await Promise.all([chromium, site])
  const page = await context.newPage()
  const said: string[] = []
  page.on('console', (message) => void said.push(message.text()))
  page.on('pageerror', (error) => void said.push(error.message))
  await page.exposeFunction('fetchCredentials', app.fetchCredentials)
  await page.exposeFunction('upload', app.upload)
  await page.goto(url)
  await page.waitForFunction(() => document.title === 'ready')
  await page.evaluate((dbFilename) => pageDevices.open(dbFilename), `app-${++lastDatabase}.db`)

  const call = <Name extends keyof Device>(method: Name): Device[Name] =>
    // A page answers with plain values, which is what the methods of a device give.
    ((...parameters: readonly unknown[]) =>
      page.evaluate(([method, parameters]) => pageDevices.call(method, parameters), [
        method,
        parameters,
      ] as const)) as never

  return {
    connect: call('connect'),
    disconnect: call('disconnect'),
    disconnectAndClear: call('disconnectAndClear'),
    readRows: call('readRows'),
    write: call('write'),
    awaitRows: call('awaitRows'),
    follow: call('follow'),
    readFollowed: call('readFollowed'),
    awaitFirstSync: call('awaitFirstSync'),
    subscribe: call('subscribe'),
    unsubscribe: call('unsubscribe'),
    readStatuses: call('readStatuses'),
    readSaid: async () => [...said, ...(await call('readSaid')())],
    close: async () => {
      await call('close')()
      await page.close()
    },
  }
}

export async function closeBrowser(): Promise<void> {
  await (await chromium)?.[Symbol.asyncDispose]()
  for (const site of sites.values()) await (await site)[Symbol.asyncDispose]()
  chromium = undefined
  sites.clear()
}

async function buildSite(release: WebRelease): Promise<Site> {
  const outDir = await mkdtemp(join(tmpdir(), 'headwater-official-page-'))
  const root = join(import.meta.dirname, 'clients', `web-${release}`)
  const settings = { configFile: false, root, logLevel: 'error' } as const
  await build({ ...settings, build: { outDir, minify: false, target: 'esnext' }, worker: { format: 'es' } })
  const server = await preview({ ...settings, build: { outDir }, preview: { host: '127.0.0.1', port: 0 } })
  return {
    url: server.resolvedUrls?.local[0] ?? '',
    [Symbol.asyncDispose]: async () => {
      await server.close()
      await rm(outDir, { recursive: true, force: true })
    },
  }
}
