;; SPDX-License-Identifier: GPL-3.0-or-later
(require 'smtpmail)
(require 'gnutls)
(setq gnutls-trustfiles (list (getenv "ca"))
      gnutls-verify-error t
      network-security-level 'low
      send-mail-function 'smtpmail-send-it
      smtpmail-smtp-server (getenv "host")
      smtpmail-smtp-service (string-to-number (getenv "port"))
      smtpmail-stream-type (if (string= (getenv "way") "starttls") 'starttls 'ssl)
      smtpmail-local-domain "example.test"
      smtpmail-sendto-domain nil
      user-mail-address (getenv "from")
      mail-host-address "client.example.test"
      coding-system-for-read 'binary)
(let ((buffer (generate-new-buffer "message")))
  (with-current-buffer buffer
    (set-buffer-multibyte nil)
    (insert-file-contents-literally (getenv "message"))
    (let ((refused (smtpmail-via-smtp (list (getenv "to")) buffer)))
      (when refused
        (message "refused: %s" refused)
        (kill-emacs 1)))))
