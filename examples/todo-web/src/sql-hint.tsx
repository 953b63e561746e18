import { useState, type ReactNode } from 'react'
import { CheckIcon, CopyIcon } from './icons.tsx'

const STATEMENT = `INSERT INTO todos (list_id, description) SELECT id, 'Written in SQL' FROM lists ORDER BY created_at LIMIT 1`
const COMMAND = `npm run demo -- --sql "${STATEMENT}"`

/** The third way in: a row that nobody's device wrote. */
export function SqlHint(): ReactNode {
  const [isCopied, setCopied] = useState(false)
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(COMMAND)
    setCopied(true)
    setTimeout(() => setCopied(false), 1500)
  }
  return (
    <footer className="sql-hint">
      <p>Or write to Postgres itself:</p>
      <code translate="no">{COMMAND}</code>
      <button type="button" className="button quiet" onClick={() => void copy()}>
        {isCopied ? <CheckIcon /> : <CopyIcon />}
        <span aria-live="polite">{isCopied ? 'Copied' : 'Copy'}</span>
      </button>
    </footer>
  )
}
