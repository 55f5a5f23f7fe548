{{/* Formats of texts that a schema cannot express or would report unreadably. `_validate.tpl` and `_conflicts.tpl` use them. */}}

{{/* A duration such as 1m30s in milliseconds. */}}
{{- define "acr-verifier.milliseconds" -}}
{{- $units := dict "h" 3600000 "m" 60000 "s" 1000 "ms" 1 -}}
{{- $sum := 0 -}}
{{- range regexFindAll "[0-9.]+(ms|h|m|s)" . -1 -}}
{{- $number := regexFind "^[0-9.]+" . -}}
{{- $sum = addf $sum (mulf (float64 $number) (get $units (trimPrefix $number .))) -}}
{{- end -}}
{{- int64 $sum -}}
{{- end -}}

{{/* "true" if an IPv4 range has bits set beyond its prefix: it is unclear which of the two was meant. */}}
{{- define "acr-verifier.hasHostBits" -}}
{{- $parts := splitList "/" . -}}
{{- if not (contains ":" .) -}}
{{- $number := 0 -}}
{{- range splitList "." (first $parts) }}{{- $number = add (mul $number 256) (atoi .) -}}{{- end -}}
{{- $size := 1 -}}
{{- range until (int (sub 32 (atoi (last $parts)))) }}{{- $size = mul $size 2 -}}{{- end -}}
{{- ne (mod $number $size) 0 -}}
{{- end -}}
{{- end -}}

{{/* The full patterns, too long for a readable schema message. IPv6 is validated by the agent. */}}
{{- define "acr-verifier.form" -}}
{{- $label := "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?" -}}
{{- $host := printf "%s(\\.%s)*\\.[A-Za-z0-9-]*[A-Za-z][A-Za-z0-9-]*" $label $label -}}
{{- $part := "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*" -}}
{{- $octet := "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])" -}}
{{- $v4 := printf "%s(\\.%s){3}" $octet $octet -}}
{{- $v6 := "[0-9A-Fa-f]{0,4}(:[0-9A-Fa-f]{0,4}){2,7}" -}}
{{- $port := "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])" -}}
{{- if eq . "image" -}}
^({{ $host }}(:{{ $port }})?|{{ $label }}:{{ $port }}|localhost)/{{ $part }}(/{{ $part }})*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[a-f0-9]{64})?$
{{- else if eq . "registry" -}}
^(({{ $host }}|{{ $v4 }})(:{{ $port }})?|{{ $label }}:{{ $port }}|localhost)$
{{- else if eq . "repository" -}}
^{{ $part }}(/{{ $part }})*$
{{- else if eq . "alias" -}}
^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$
{{- else if eq . "labelName" -}}
^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$
{{- else if eq . "cidr" -}}
^({{ $v4 }}/(3[0-2]|[12]?[0-9])|{{ $v6 }}/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))$
{{- else if eq . "address" -}}
^({{ $v4 }}(:{{ $port }})?|{{ $v6 }}|\[{{ $v6 }}\](:{{ $port }})?)$
{{- else if eq . "ip" -}}
^({{ $v4 }}|{{ $v6 }}|::[Ff]{4}:{{ $v4 }})$
{{- else if eq . "reserved" -}}
^((0|127|22[4-9]|2[3-5][0-9])\.[0-9.]+|169\.254\.[0-9.]+|168\.63\.129\.16)$
{{- else if eq . "host" -}}
^{{ $host }}$
{{- end -}}
{{- end -}}

{{/* "true" if a text is an RE2 expression. An empty alternative before it matches every text, if it compiles. */}}
{{- define "acr-verifier.isRegex" -}}
{{- regexMatch (printf "|%s" .) "" -}}
{{- end -}}

{{/* A quantity such as 250m, 0.5 or 64Mi as a number. */}}
{{- define "acr-verifier.quantity" -}}
{{- if kindIs "string" . -}}
{{- $units := dict "" 1 "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- $number := regexFind "^[0-9.]+" . -}}
{{- mulf (float64 $number) (get $units (trimPrefix $number .)) -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end -}}

{{/* "true" if a text is a field of cron: `text`, between `least` and `most`, or one of `names`. */}}
{{- define "acr-verifier.isCronField" -}}
{{- $field := . -}}
{{- $valid := true -}}
{{- range splitList "," .text -}}
  {{- if not (regexMatch "^([*?]|[0-9]{1,2}(-[0-9]{1,2})?|[A-Za-z]{3}(-[A-Za-z]{3})?)(/[1-9][0-9]{0,3})?$" .) -}}
    {{- $valid = false -}}
  {{- else if not (regexMatch "^[*?]" .) -}}
    {{- $least := $field.least -}}
    {{- range splitList "-" (splitList "/" . | first) -}}
      {{- $number := -1 -}}
      {{- if regexMatch "^[0-9]" . }}{{- $number = atoi . -}}{{- else if hasKey $field.names (lower .) }}{{- $number = get $field.names (lower .) -}}{{- end -}}
      {{- if or (lt $number $least) (gt $number $field.most) }}{{- $valid = false -}}{{- end -}}
      {{- $least = $number -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $valid -}}
{{- end -}}

{{/* "true" if a text is a schedule of cron. Kubernetes counts weekdays from 0 (Sunday) to 6. */}}
{{- define "acr-verifier.isSchedule" -}}
{{- $valid := true -}}
{{- if not (hasPrefix "@" .) -}}
  {{- $months := dict "jan" 1 "feb" 2 "mar" 3 "apr" 4 "may" 5 "jun" 6 "jul" 7 "aug" 8 "sep" 9 "oct" 10 "nov" 11 "dec" 12 -}}
  {{- $days := dict "sun" 0 "mon" 1 "tue" 2 "wed" 3 "thu" 4 "fri" 5 "sat" 6 -}}
  {{- $limits := list (list 0 59 dict) (list 0 23 dict) (list 1 31 dict) (list 1 12 $months) (list 0 6 $days) -}}
  {{- range $index, $text := splitList " " . -}}
    {{- $limit := index $limits $index -}}
    {{- if ne (include "acr-verifier.isCronField" (dict "text" $text "least" (index $limit 0) "most" (index $limit 1) "names" (index $limit 2))) "true" -}}
      {{- $valid = false -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $valid -}}
{{- end -}}
