/** Far more than any client's name needs; names are stored. */
const CLIENT_ID_CHARS_MAX = 1_000

/** Adds to `problems` what is wrong with the name that a client gives itself. */
export function checkClientId(clientId: string, problems: { readonly push: (problem: string) => void }): void {
  if (clientId.length > CLIENT_ID_CHARS_MAX) {
    problems.push(`client_id: expected at most ${CLIENT_ID_CHARS_MAX} characters, got ${clientId.length}`)
  }
}
