import type { Locator, Page } from 'playwright-core'

/** Long enough for a slow machine; a step that takes so long has failed. */
const STEP_WITHIN_MS = 30_000

/** One user's side of the demo, used as that user would: by the names of its controls. */
export type Pane = {
  readonly waitUntilInStep: () => Promise<void>
  readonly openList: (name: string) => Promise<void>
  readonly addTodo: (text: string) => Promise<void>
  readonly renameTodo: (from: string, to: string) => Promise<void>
  readonly toggleTodo: (text: string) => Promise<void>
  readonly waitForTodo: (text: string, state?: 'done') => Promise<void>
  /** The texts, from top to bottom. */
  readonly readTodos: () => Promise<readonly string[]>
  /** Presses the button that shares the open list. */
  readonly share: (label: string) => Promise<void>
  readonly flipSwitch: () => Promise<void>
  /** Changes wait to be uploaded: this many. */
  readonly waitUntilWaiting: (count: number) => Promise<void>
  readonly showWaiting: () => Promise<void>
  readonly waitUntilUploaded: () => Promise<void>
}

export function openPane(page: Page, user: string): Pane {
  const pane = page.getByRole('region', { name: `${user}’s device` })
  const within = { timeout: STEP_WITHIN_MS }
  const todo = (text: string): Locator => pane.getByRole('button', { name: text, exact: true })
  const box = (text: string): Locator => pane.getByRole('checkbox', { name: `Done: ${text}`, exact: true })
  return {
    waitUntilInStep: () => pane.getByRole('status').getByText('In step').waitFor(within),
    openList: async (name) => {
      await pane.getByRole('navigation').getByText(name, { exact: true }).click(within)
      await pane.getByRole('heading', { name, exact: true }).waitFor(within)
    },
    addTodo: async (text) => {
      const field = pane.getByLabel('Add a todo')
      await field.fill(text)
      await field.press('Enter')
    },
    renameTodo: async (from, to) => {
      await todo(from).click(within)
      const field = pane.getByLabel(`Rename ${from}`)
      await field.fill(to)
      await field.press('Enter')
      await todo(to).waitFor(within)
    },
    toggleTodo: (text) => box(text).click(within),
    waitForTodo: (text, state) =>
      state === 'done'
        ? pane.locator('[data-done=true]').getByRole('button', { name: text, exact: true }).waitFor(within)
        : todo(text).waitFor(within),
    readTodos: () => pane.locator('.todo .editable').allTextContents(),
    share: (label) => pane.getByRole('button', { name: label }).click(within),
    flipSwitch: () => pane.getByRole('switch').click(within),
    waitUntilWaiting: (count) => pane.getByText(`${count} changes`, { exact: true }).waitFor(within),
    showWaiting: () => pane.locator('summary').click(within),
    waitUntilUploaded: () => pane.getByText('Everything is uploaded').waitFor(within),
  }
}
