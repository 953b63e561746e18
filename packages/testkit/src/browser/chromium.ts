import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type BrowserContext } from 'playwright-core'
import { CHROMIUM_FLAGS, ensureChromium } from '../../../../scripts/chromium.ts'

export type Chromium = {
  /** One profile: its pages share files, as the tabs of one person's browser do. */
  readonly context: BrowserContext
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

/** Starts headless Chromium with a fresh profile, which disposal removes. `flags` are added to the usual ones. */
export async function startChromium(flags: readonly string[] = []): Promise<Chromium> {
  const found = ensureChromium(() => {})
  if (found.kind === 'missing') throw new Error(`Cannot start a browser, because none was found. ${found.remedy}`)
  const profile = await mkdtemp(join(tmpdir(), 'headwater-chromium-'))
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: found.path,
    headless: true,
    args: [...CHROMIUM_FLAGS, ...flags],
  })
  return {
    context,
    [Symbol.asyncDispose]: async () => {
      await context.close()
      await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
    },
  }
}
