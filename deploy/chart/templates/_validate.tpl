{{/*
What the schema cannot say: values that contradict each other, numbers behind texts. All that is wrong is told at once.
The forms of single values are in values.schema.json, which Helm asks first.
*/}}

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

{{/* "true" where an IPv4 range has bits beyond its prefix: it is unclear which of the two was meant. */}}
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

{{/* "true" where one of the mounts in `mounts` holds `path`. */}}
{{- define "acr-verifier.isMounted" -}}
{{- $path := .path -}}
{{- $found := false -}}
{{- range .mounts -}}
{{- if or (eq $path .mountPath) (hasPrefix (printf "%s/" (trimSuffix "/" .mountPath)) $path) }}{{- $found = true -}}{{- end -}}
{{- end -}}
{{- $found -}}
{{- end -}}

{{/* The full forms, too long to be read in a message of the schema. Those of IPv6 are the agent's to judge. */}}
{{- define "acr-verifier.form" -}}
{{- $label := "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?" -}}
{{- $host := printf "%s(\\.%s)*\\.[A-Za-z0-9-]*[A-Za-z][A-Za-z0-9-]*" $label $label -}}
{{- $part := "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*" -}}
{{- $octet := "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])" -}}
{{- $v4 := printf "%s(\\.%s){3}" $octet $octet -}}
{{- $v6 := "[0-9A-Fa-f]{0,4}(:[0-9A-Fa-f]{0,4}){2,7}" -}}
{{- $port := "[1-9][0-9]{0,4}" -}}
{{- if eq . "image" -}}
^({{ $host }}(:{{ $port }})?|{{ $label }}:{{ $port }}|localhost)/{{ $part }}(/{{ $part }})*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[a-f0-9]{64})?$
{{- else if eq . "cidr" -}}
^({{ $v4 }}/(3[0-2]|[12]?[0-9])|{{ $v6 }}/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))$
{{- else if eq . "address" -}}
^({{ $v4 }}(:{{ $port }})?|{{ $v6 }}|\[{{ $v6 }}\](:{{ $port }})?)$
{{- else if eq . "host" -}}
^{{ $host }}$
{{- end -}}
{{- end -}}

{{- define "acr-verifier.registryOf" -}}
{{- regexFind "^[^/]+" . | lower | trimSuffix ":443" -}}
{{- end -}}

{{- define "acr-verifier.validateImages" -}}
{{- $errors := list -}}
{{- $names := list -}}
{{- $unnamed := list -}}
{{- $root := . -}}
{{- range $index, $image := .Values.config.images -}}
  {{- $where := printf "config.images[%d]" $index -}}
  {{- if not (regexMatch (include "acr-verifier.form" "image") $image.image) -}}
    {{- $errors = append $errors (printf "%s.image: found `%s`; allowed is LOGIN_SERVER/REPOSITORY[:TAG][@sha256:…], such as contoso.azurecr.io/apps/canary:1" $where $image.image) -}}
  {{- end -}}
  {{- range $image.dataEndpoints -}}
    {{- if not (regexMatch (include "acr-verifier.form" "host") .) -}}
      {{- $errors = append $errors (printf "%s.dataEndpoints: found `%s`; allowed is a host name, such as contoso.westeurope.data.azurecr.io" $where .) -}}
    {{- end -}}
  {{- end -}}
  {{- if $image.name -}}
    {{- if has $image.name $names -}}
      {{- $errors = append $errors (printf "%s.name: found `%s`, the name of an earlier image; allowed is each name once" $where $image.name) -}}
    {{- end -}}
    {{- $names = append $names $image.name -}}
  {{- else -}}
    {{- if has $image.image $unnamed -}}
      {{- $errors = append $errors (printf "%s.image: found `%s` a second time; allowed is each once, or a `name` for each" $where $image.image) -}}
    {{- end -}}
    {{- $unnamed = append $unnamed $image.image -}}
  {{- end -}}
  {{- with $image.credentials -}}
    {{- if and .secretName .path -}}
      {{- $errors = append $errors (printf "%s.credentials: found secretName and path; allowed is one of them" $where) -}}
    {{- else if not (or .secretName .path) -}}
      {{- $errors = append $errors (printf "%s.credentials: found neither secretName nor path; allowed is one of them" $where) -}}
    {{- else if .path -}}
      {{- if ne (include "acr-verifier.isMounted" (dict "path" .path "mounts" $root.Values.extraVolumeMounts)) "true" -}}
        {{- $errors = append $errors (printf "%s.credentials.path: found `%s`, which nothing brings into the pod; allowed is a path below a mountPath of extraVolumeMounts, or secretName" $where .path) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- range ($image.privateEndpoint).cidrs -}}
    {{- if not (regexMatch (include "acr-verifier.form" "cidr") .) -}}
      {{- $errors = append $errors (printf "%s.privateEndpoint.cidrs: found `%s`; allowed is a CIDR, such as 10.60.4.0/24 or fd00:60::/64" $where .) -}}
    {{- else if eq (include "acr-verifier.hasHostBits" .) "true" -}}
      {{- $errors = append $errors (printf "%s.privateEndpoint.cidrs: found `%s`, an address inside a range; allowed is the range itself, such as 10.60.4.0/24" $where .) -}}
    {{- end -}}
  {{- end -}}
  {{- if and (eq (include "acr-verifier.registryOf" $image.image) (include "acr-verifier.registryOf" $root.Values.image.registry)) (not $root.Values.image.allowSameRegistry) -}}
    {{- $errors = append $errors (printf "image.registry: found `%s`, which %s checks: while that registry cannot be reached no new node could start its agent, just when it is needed; allowed is another registry, or image.allowSameRegistry: true" $root.Values.image.registry $where) -}}
  {{- end -}}
{{- end -}}
{{- $errors | toJson -}}
{{- end -}}

{{- define "acr-verifier.validateConfig" -}}
{{- $errors := list -}}
{{- $config := .Values.config -}}
{{- if not $config.images -}}
  {{- $errors = append $errors "config.images: found an empty list; allowed is a list of 1 to 100 images, such as --set 'config.images[0].image=contoso.azurecr.io/apps/canary:1'" -}}
{{- end -}}
{{- range $name, $address := ($config.resolvers).compare -}}
  {{- if eq $name "system" -}}
    {{- $errors = append $errors "config.resolvers.compare: found the name `system`, which stands for the node's own nameservers; allowed is another name" -}}
  {{- end -}}
  {{- if not (regexMatch (include "acr-verifier.form" "address") $address) -}}
    {{- $errors = append $errors (printf "config.resolvers.compare.%s: found `%s`; allowed is an IP address with an optional port, such as 10.0.0.10, 10.0.0.10:5353 or [fd00::10]:53" $name $address) -}}
  {{- end -}}
{{- end -}}
{{- $schedule := $config.schedule | default dict -}}
{{- range $key := list "interval" "timeout" "stageTimeout" -}}
  {{- with get $schedule $key -}}
    {{- $least := ternary 1000 1 (eq $key "interval") -}}
    {{- $found := int64 (include "acr-verifier.milliseconds" .) -}}
    {{- if or (lt $found (int64 $least)) (gt $found (int64 86400000)) -}}
      {{- $errors = append $errors (printf "config.schedule.%s: found `%s`; allowed is a duration from %s to 24h" $key . (ternary "1s" "1ms" (eq $key "interval"))) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $timeout := $schedule.timeout | default "60s" -}}
{{- with $schedule.stageTimeout -}}
  {{- if gt (int64 (include "acr-verifier.milliseconds" .)) (int64 (include "acr-verifier.milliseconds" $timeout)) -}}
    {{- $errors = append $errors (printf "config.schedule.stageTimeout: found `%s` for a stage; allowed is at most the timeout of the whole check, %s" . $timeout) -}}
  {{- end -}}
{{- end -}}
{{- if and $schedule.budgetPerMinute (not $schedule.fleetSize) -}}
  {{- $errors = append $errors "config.schedule.budgetPerMinute: it says nothing without fleetSize; allowed is both, or fleetSize alone" -}}
{{- end -}}
{{- with ($config.server).address -}}
  {{- if not (hasSuffix (printf ":%d" (int $.Values.port)) .) -}}
    {{- $errors = append $errors (printf "config.server.address: found `%s` beside port %d; allowed is the same port in both" . (int $.Values.port)) -}}
  {{- end -}}
{{- end -}}
{{- with $config.tls -}}
  {{- if and .caFile .caConfigMap -}}
    {{- $errors = append $errors "config.tls: found caFile and caConfigMap; allowed is one of them" -}}
  {{- else if .caFile -}}
    {{- if ne (include "acr-verifier.isMounted" (dict "path" .caFile "mounts" $.Values.extraVolumeMounts)) "true" -}}
      {{- $errors = append $errors (printf "config.tls.caFile: found `%s`, which nothing brings into the pod; allowed is a path below a mountPath of extraVolumeMounts, or caConfigMap" .caFile) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $errors | toJson -}}
{{- end -}}

{{- define "acr-verifier.validate" -}}
{{- $errors := concat (fromJsonArray (include "acr-verifier.validateConfig" .)) (fromJsonArray (include "acr-verifier.validateImages" .)) -}}
{{- if eq .Values.image.tag "latest" -}}
  {{- $errors = append $errors "image.tag: found `latest`, which is another image every day; allowed is the tag of a version, or none for the chart's own" -}}
{{- end -}}
{{- $labels := dict "podLabels" .Values.podLabels "podMonitor.additionalLabels" .Values.podMonitor.additionalLabels "dashboards.labels" .Values.dashboards.labels "rules.additionalLabels" .Values.rules.additionalLabels -}}
{{- range $where, $map := $labels -}}
  {{- range $key, $_ := $map -}}
    {{- if regexMatch "^([^/]*\\.)?kubernetes\\.azure\\.com/" $key -}}
      {{- $errors = append $errors (printf "%s: found `%s`; allowed are labels outside of kubernetes.azure.com, which is reserved for AKS" $where $key) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled .Values.hostNetwork -}}
  {{- $errors = append $errors "networkPolicy.enabled: found true beside hostNetwork: true, where a NetworkPolicy has no effect; allowed is one of them" -}}
{{- end -}}
{{- if and .Values.prometheusAnnotations (or (eq (toString .Values.podMonitor.prometheusOperator) "true") (eq (toString .Values.podMonitor.azureMonitor) "true")) -}}
  {{- $errors = append $errors "prometheusAnnotations: found true beside a PodMonitor, which would bring every sample twice; allowed is one of them" -}}
{{- end -}}
{{- if and .Values.dashboards.enabled (not (.Files.Glob "files/dashboards/*.json")) -}}
  {{- $errors = append $errors "dashboards.enabled: found true, but this chart carries no files/dashboards/*.json; allowed is false" -}}
{{- end -}}
{{- if and .Values.rules.enabled (not (.Files.Glob "files/rules/*.yaml")) -}}
  {{- $errors = append $errors "rules.enabled: found true, but this chart carries no files/rules/*.yaml; allowed is false" -}}
{{- end -}}
{{- if $errors -}}
  {{- fail (printf "\n\n%d value(s) of acr-verifier cannot be taken:\n- %s\n" (len $errors) (join "\n- " $errors)) -}}
{{- end -}}
{{- end -}}

{{/* The registries that are checked, as a JSON list. */}}
{{- define "acr-verifier.registries" -}}
{{- $registries := list -}}
{{- range .Values.config.images }}{{- $registries = append $registries (include "acr-verifier.registryOf" .image) -}}{{- end -}}
{{- $registries | uniq | toJson -}}
{{- end -}}
