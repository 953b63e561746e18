import { useState, type ReactNode } from 'react'

type Props = {
  readonly text: string
  /** What is being renamed, for people who do not see it. */
  readonly label: string
  readonly onChange: (text: string) => void
}

/** Text that turns into a field when it is clicked, or entered with the keyboard. Enter keeps, Escape leaves as it was. */
export function EditableText({ text, label, onChange }: Props): ReactNode {
  const [draft, setDraft] = useState<string>()
  if (draft === undefined) {
    return (
      <button type="button" className="editable" title="Rename" onClick={() => setDraft(text)}>
        {text}
      </button>
    )
  }
  const keep = (): void => {
    const trimmed = draft.trim()
    if (trimmed !== '' && trimmed !== text) onChange(trimmed)
    setDraft(undefined)
  }
  return (
    <input
      className="editable-input"
      type="text"
      aria-label={label}
      value={draft}
      maxLength={500}
      ref={(input) => {
        if (input !== null && document.activeElement !== input) input.select()
      }}
      onChange={(event) => setDraft(event.currentTarget.value)}
      onBlur={keep}
      onKeyDown={(event) => {
        if (event.key === 'Enter') keep()
        if (event.key === 'Escape') setDraft(undefined)
      }}
    />
  )
}
