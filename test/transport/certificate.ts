import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** In PEM. */
export interface Certificate {
  key: string;
  cert: string;
}

let made: Certificate | undefined;

/** A key, and a certificate of 127.0.0.1 and db.example that it signs itself; the same for all tests of a process. */
export function certificate(): Certificate {
  if (made !== undefined) return made;
  const folder = mkdtempSync(join(tmpdir(), 'mytape-certificate-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const names = 'subjectAltName=IP:127.0.0.1,DNS:db.example';
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  const files = ['-keyout', key, '-out', cert];
  const what = ['-x509', '-nodes', '-days', '2', '-subj', '/CN=mytape-test', '-addext', names];
  execFileSync('openssl', ['req', ...what, ...curve, ...files], { stdio: 'pipe' });
  made = { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  rmSync(folder, { recursive: true });
  return made;
}
