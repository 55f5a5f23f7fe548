{{/*
Checks that the schema cannot express: contradictory values and numeric limits of text values. All errors are reported at
once. The formats of single values are in values.schema.json, which Helm checks first.
*/}}

{{/* "true" if one of the mounts in `mounts` contains `path`. */}}
{{- define "acr-verifier.isMounted" -}}
{{- $path := .path -}}
{{- $found := false -}}
{{- range .mounts -}}
{{- if or (eq $path .mountPath) (hasPrefix (printf "%s/" (trimSuffix "/" .mountPath)) $path) }}{{- $found = true -}}{{- end -}}
{{- end -}}
{{- $found -}}
{{- end -}}

{{- define "acr-verifier.registryOf" -}}
{{- regexFind "^[^/]+" . | lower | trimSuffix ":443" -}}
{{- end -}}

{{/* The exact addresses of one image's private endpoint: at least one name must be the registry's. */}}
{{- define "acr-verifier.validateAddresses" -}}
{{- $errors := list -}}
{{- $where := printf "%s.privateEndpoint.addresses" .where -}}
{{- $host := regexReplaceAll ":[0-9]+$" (include "acr-verifier.registryOf" .image.image) "" -}}
{{- $data := printf "^%s\\.[a-z0-9-]+\\.data\\.azurecr\\.(io|us|cn)$" (first (splitList "." $host)) -}}
{{- $own := list $host -}}
{{- range .image.dataEndpoints }}{{- $own = append $own (lower .) -}}{{- end -}}
{{- $names := list -}}
{{- $used := false -}}
{{- range $text, $addresses := (.image.privateEndpoint).addresses -}}
  {{- $name := lower (trimSuffix "." $text) -}}
  {{- if not (regexMatch (include "acr-verifier.form" "host") $name) -}}
    {{- $errors = append $errors (printf "invalid name %q in %s: expected a host name such as contoso.azurecr.io" $text $where) -}}
  {{- else if has $name $names -}}
    {{- $errors = append $errors (printf "invalid name %q in %s: duplicate name; expected each name once, whatever its case or final dot" $text $where) -}}
  {{- end -}}
  {{- $names = append $names $name -}}
  {{- if or (has $name $own) (regexMatch $data $name) (hasSuffix (printf ".%s" $host) $name) }}{{- $used = true -}}{{- end -}}
  {{- range $addresses -}}
    {{- if not (regexMatch (include "acr-verifier.form" "ip") .) -}}
      {{- $errors = append $errors (printf "invalid value %q for %s.%s: expected an IP address such as 10.60.4.5" . $where $text) -}}
    {{- else if regexMatch (include "acr-verifier.form" "reserved") . -}}
      {{- $errors = append $errors (printf "invalid value %q for %s.%s: no private endpoint can have a reserved address; expected an IP address such as 10.60.4.5" . $where $text) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if and $names (not $used) -}}
  {{- $errors = append $errors (printf "invalid value for %s: %s is not a name of the registry; expected an address of %s or of its data endpoint" $where (first $names) $host) -}}
{{- end -}}
{{- $errors | toJson -}}
{{- end -}}

{{- define "acr-verifier.validateImages" -}}
{{- $errors := list -}}
{{- $names := list -}}
{{- $unnamed := list -}}
{{- $root := . -}}
{{- range $index, $image := .Values.config.images -}}
  {{- $where := printf "config.images[%d]" $index -}}
  {{- if not (regexMatch (include "acr-verifier.form" "image") $image.image) -}}
    {{- $errors = append $errors (printf "invalid value %q for %s.image: expected LOGIN_SERVER/REPOSITORY[:TAG][@sha256:…], such as contoso.azurecr.io/apps/canary:1" $image.image $where) -}}
  {{- end -}}
  {{- range $image.dataEndpoints -}}
    {{- if not (regexMatch (include "acr-verifier.form" "host") .) -}}
      {{- $errors = append $errors (printf "invalid value %q for %s.dataEndpoints: expected a host name such as contoso.westeurope.data.azurecr.io" . $where) -}}
    {{- end -}}
  {{- end -}}
  {{- if $image.name -}}
    {{- if has $image.name $names -}}
      {{- $errors = append $errors (printf "invalid value %q for %s.name: duplicate name; expected a unique one" $image.name $where) -}}
    {{- end -}}
    {{- $names = append $names $image.name -}}
  {{- else -}}
    {{- if has $image.image $unnamed -}}
      {{- $errors = append $errors (printf "invalid value %q for %s.image: duplicate image; expected a unique one, or a name for each" $image.image $where) -}}
    {{- end -}}
    {{- $unnamed = append $unnamed $image.image -}}
  {{- end -}}
  {{- with $image.credentials -}}
    {{- if and .secretName .path -}}
      {{- $errors = append $errors (printf "%s.credentials: secretName cannot be used with path" $where) -}}
    {{- else if or (hasKey . "managedIdentity") (hasKey . "workloadIdentity") -}}
      {{- if not (regexMatch "\\.azurecr\\.(io|us|cn)(:[0-9]+)?$" (include "acr-verifier.registryOf" $image.image)) -}}
        {{- $errors = append $errors (printf "invalid value %q for %s.image: an Azure identity pulls only from Azure Container Registries; expected a login server in azurecr.io, azurecr.us or azurecr.cn" $image.image $where) -}}
      {{- end -}}
    {{- else if not (or .secretName .path) -}}
      {{- $errors = append $errors (printf "%s.credentials: expected one of secretName, path, managedIdentity and workloadIdentity" $where) -}}
    {{- else if .path -}}
      {{- if ne (include "acr-verifier.isMounted" (dict "path" .path "mounts" $root.Values.extraVolumeMounts)) "true" -}}
        {{- $errors = append $errors (printf "invalid value %q for %s.credentials.path: not mounted in the pod; expected a path below a mountPath of extraVolumeMounts, or secretName" .path $where) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- range ($image.privateEndpoint).cidrs -}}
    {{- if not (regexMatch (include "acr-verifier.form" "cidr") .) -}}
      {{- $errors = append $errors (printf "invalid value %q for %s.privateEndpoint.cidrs: expected a CIDR such as 10.60.4.0/24 or fd00:60::/64" . $where) -}}
    {{- else if eq (include "acr-verifier.hasHostBits" .) "true" -}}
      {{- $errors = append $errors (printf "invalid value %q for %s.privateEndpoint.cidrs: an address inside a range; expected the range itself, such as 10.60.4.0/24" . $where) -}}
    {{- end -}}
  {{- end -}}
  {{- $errors = concat $errors (include "acr-verifier.validateAddresses" (dict "image" $image "where" $where) | fromJsonArray) -}}
  {{- if and (eq (include "acr-verifier.registryOf" $image.image) (include "acr-verifier.registryOf" $root.Values.image.registry)) (not $root.Values.image.allowSameRegistry) -}}
    {{- $errors = append $errors (printf "invalid value %q for image.registry: %s checks this registry, and during its outage a new node could not start its agent; expected another registry, or image.allowSameRegistry: true" $root.Values.image.registry $where) -}}
  {{- end -}}
{{- end -}}
{{- $errors | toJson -}}
{{- end -}}

{{- define "acr-verifier.validateConfig" -}}
{{- $errors := list -}}
{{- $config := .Values.config -}}
{{- if not $config.images -}}
  {{- $errors = append $errors "invalid value [] for config.images: expected 1 to 100 images, such as --set 'config.images[0].image=contoso.azurecr.io/apps/canary:1'" -}}
{{- end -}}
{{- range $name, $address := ($config.resolvers).compare -}}
  {{- if eq $name "system" -}}
    {{- $errors = append $errors "invalid name system in config.resolvers.compare: reserved for the node's own nameservers; expected another name" -}}
  {{- end -}}
  {{- if not (regexMatch (include "acr-verifier.form" "address") $address) -}}
    {{- $errors = append $errors (printf "invalid value %q for config.resolvers.compare.%s: expected an IP address with an optional port, such as 10.0.0.10, 10.0.0.10:5353 or [fd00::10]:53" $address $name) -}}
  {{- end -}}
{{- end -}}
{{- $schedule := $config.schedule | default dict -}}
{{- range $key := list "interval" "pathInterval" "timeout" "stageTimeout" -}}
  {{- with get $schedule $key -}}
    {{- $isInterval := has $key (list "interval" "pathInterval") -}}
    {{- $least := ternary 1000 1 $isInterval -}}
    {{- $found := int64 (include "acr-verifier.milliseconds" .) -}}
    {{- if or (lt $found (int64 $least)) (gt $found (int64 86400000)) -}}
      {{- $errors = append $errors (printf "invalid value %q for config.schedule.%s: expected a duration from %s to 24h" . $key (ternary "1s" "1ms" $isInterval)) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $timeout := $schedule.timeout | default "60s" -}}
{{- with $schedule.stageTimeout -}}
  {{- if gt (int64 (include "acr-verifier.milliseconds" .)) (int64 (include "acr-verifier.milliseconds" $timeout)) -}}
    {{- $errors = append $errors (printf "invalid value %q for config.schedule.stageTimeout: expected at most the overall timeout, %s" . $timeout) -}}
  {{- end -}}
{{- end -}}
{{- if and $schedule.budgetPerMinute (not $schedule.fleetSize) -}}
  {{- $errors = append $errors "config.schedule.budgetPerMinute requires fleetSize" -}}
{{- end -}}
{{- with $config.tls -}}
  {{- if and .caFile .caConfigMap -}}
    {{- $errors = append $errors "config.tls: caFile cannot be used with caConfigMap" -}}
  {{- else if .caFile -}}
    {{- if ne (include "acr-verifier.isMounted" (dict "path" .caFile "mounts" $.Values.extraVolumeMounts)) "true" -}}
      {{- $errors = append $errors (printf "invalid value %q for config.tls.caFile: not mounted in the pod; expected a path below a mountPath of extraVolumeMounts, or caConfigMap" .caFile) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $errors | toJson -}}
{{- end -}}

{{/* What an identity requires outside the configuration: the host network, the service account's annotation, the pods' label. */}}
{{- define "acr-verifier.validateIdentities" -}}
{{- $errors := list -}}
{{- $managed := eq (include "acr-verifier.usesIdentity" (dict "root" . "kind" "managedIdentity")) "true" -}}
{{- if and $managed (not .Values.hostNetwork) (not .Values.managedIdentity.allowPodNetwork) -}}
  {{- $errors = append $errors "managedIdentity requires hostNetwork: AKS may block IMDS, which issues the tokens, on the pod network; expected hostNetwork: true, workloadIdentity instead, or managedIdentity.allowPodNetwork: true" -}}
{{- end -}}
{{- if eq (include "acr-verifier.usesIdentity" (dict "root" . "kind" "workloadIdentity")) "true" -}}
  {{- $clientId := get (.Values.serviceAccount.annotations | default dict) "azure.workload.identity/client-id" -}}
  {{- if or $clientId .Values.serviceAccount.create -}}
    {{- if not (regexMatch "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$" $clientId) -}}
      {{- $errors = append $errors (printf "invalid value %q for azure.workload.identity/client-id in serviceAccount.annotations: workloadIdentity requires it; expected the client ID of a managed identity" $clientId) -}}
    {{- end -}}
  {{- end -}}
  {{- $use := get (default dict .Values.podLabels) "azure.workload.identity/use" -}}
  {{- if and $use (ne $use "true") -}}
    {{- $errors = append $errors (printf "invalid value %q for azure.workload.identity/use in podLabels: workloadIdentity requires \"true\", which the chart sets" $use) -}}
  {{- end -}}
{{- end -}}
{{- $errors | toJson -}}
{{- end -}}

{{- define "acr-verifier.validate" -}}
{{- $errors := list -}}
{{- range list "Config" "Images" "Identities" "Metadata" "Volumes" "Contexts" "Pods" "Server" "Scraping" "Rules" "Smoke" -}}
  {{- $errors = concat $errors (fromJsonArray (include (printf "acr-verifier.validate%s" .) $)) -}}
{{- end -}}
{{- if not (regexMatch (include "acr-verifier.form" "registry") .Values.image.registry) -}}
  {{- $errors = append $errors (printf "invalid value %q for image.registry: expected a host name with an optional port, such as fabrikam.azurecr.io" .Values.image.registry) -}}
{{- end -}}
{{- if not (regexMatch (include "acr-verifier.form" "repository") .Values.image.repository) -}}
  {{- $errors = append $errors (printf "invalid value %q for image.repository: expected a repository without registry, tag and digest, such as tools/acr-verifier" .Values.image.repository) -}}
{{- end -}}
{{- if eq .Values.image.tag "latest" -}}
  {{- $errors = append $errors "invalid value \"latest\" for image.tag: it names changing images; expected the tag of a version, or none for the chart's own" -}}
{{- end -}}
{{- $policy := .Values.networkPolicy -}}
{{- if and $policy.enabled .Values.hostNetwork -}}
  {{- $errors = append $errors "networkPolicy.enabled cannot be used with hostNetwork: a NetworkPolicy has no effect on the host network" -}}
{{- end -}}
{{- if and $policy.enabled $policy.ingressFrom .Values.smoke.enabled .Values.smoke.hostNetwork -}}
  {{- $ranges := list -}}
  {{- range $policy.ingressFrom }}{{- if hasKey . "ipBlock" }}{{- $ranges = append $ranges .ipBlock -}}{{- end -}}{{- end -}}
  {{- if not $ranges -}}
    {{- $errors = append $errors "smoke.hostNetwork cannot be used with networkPolicy.ingressFrom without an ipBlock: the smoke check then connects from the address of its node, which no selector of Pods matches; expected smoke.hostNetwork: false, or the ipBlock of the nodes" -}}
  {{- end -}}
{{- end -}}
{{- if and .Values.dashboards.enabled (not (.Files.Glob "files/dashboards/*.json")) -}}
  {{- $errors = append $errors "invalid value true for dashboards.enabled: this chart contains no files/dashboards/*.json" -}}
{{- end -}}
{{- if and .Values.rules.enabled (not (.Files.Glob "files/rules/*.yaml")) -}}
  {{- $errors = append $errors "invalid value true for rules.enabled: this chart contains no files/rules/*.yaml" -}}
{{- end -}}
{{- if $errors -}}
  {{- fail (printf "\n\n%d invalid value(s) for acr-verifier:\n- %s\n" (len $errors) (join "\n- " $errors)) -}}
{{- end -}}
{{- end -}}

{{/* The checked registries, as a JSON list. */}}
{{- define "acr-verifier.registries" -}}
{{- $registries := list -}}
{{- range .Values.config.images }}{{- $registries = append $registries (include "acr-verifier.registryOf" .image) -}}{{- end -}}
{{- $registries | uniq | toJson -}}
{{- end -}}
