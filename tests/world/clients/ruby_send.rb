# SPDX-License-Identifier: GPL-3.0-or-later
require 'net/smtp'

smtp = Net::SMTP.new(ENV['host'], ENV['port'].to_i)
smtp.read_timeout = 20
context = OpenSSL::SSL::SSLContext.new
context.set_params(ca_file: ENV['ca'])
ENV['way'] == 'starttls' ? smtp.enable_starttls(context) : smtp.enable_tls(context)
smtp.start('client.example.test') do |session|
  session.send_message(File.binread(ENV['message']), ENV['from'], ENV['to'])
end
