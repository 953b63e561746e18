/** `Token` and `Bearer` mean the same, and are spelt exactly so; the token is one run without blanks. */
const AUTHORIZATION = /^(?:Token|Bearer) (\S+)$/

/** The token of an `Authorization` header; undefined when there is none in the accepted form. */
export function readAuthorization(header: string | undefined): string | undefined {
  return header === undefined ? undefined : AUTHORIZATION.exec(header)?.[1]
}
