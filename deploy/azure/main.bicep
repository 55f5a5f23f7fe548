// A private AKS cluster and a Premium registry behind a private endpoint, in one of two layouts. Equivalent to the commands
// of steps 2 to 8 in README.md, without image, password and Secret; and to those of an identity instead of a Secret.
targetScope = 'resourceGroup'

@description('Location of the private endpoint: in the VNet of the cluster, or in a peered VNet of the registry.')
@allowed([
  'same-vnet'
  'own-vnet'
])
param layout string = 'same-vnet'

@description('Name of the registry: unique in all of Azure, letters and digits.')
@minLength(5)
@maxLength(50)
param registryName string

@description('Region of all resources.')
param location string = resourceGroup().location

@description('Name of the private cluster.')
param clusterName string = 'private-aks-cluster'

@description('Name of the VNet of the cluster.')
param clusterVnetName string = 'private-aks-vnet'

@description('Name of the VNet of the registry; only in the layout own-vnet.')
param registryVnetName string = 'registry-vnet'

@description('Number of nodes in the system pool.')
@minValue(1)
param nodeCount int = 3

@description('VM size of the nodes.')
param nodeSize string = 'Standard_D4s_v5'

@description('Enables public access to the registry; only until images are imported.')
param publicAccess bool = false

@description('Repository that the token may pull.')
param repository string = 'apps/canary'

@description('Name of the repository token.')
param tokenName string = 'DemoToken'

@description('Deploys the token. Only for the first deployment: deploying it again deletes its passwords.')
param createToken bool = true

@description('Identity that may pull: none (only the token), that of the kubelet, or a workload identity of the agent.')
@allowed([
  'none'
  'managed'
  'workload'
])
param pullIdentity string = 'none'

@description('Uses ABAC for the permissions on repositories. Such a registry ignores AcrPull.')
param abac bool = false

@description('Namespace of the agent, for the federated credential.')
param agentNamespace string = 'acr-verifier'

@description('Service account of the agent, for the federated credential: by default the name of the Helm release.')
param agentServiceAccount string = 'acr-verifier'

var ownVnet = layout == 'own-vnet'
var endpointSubnetName = 'private-endpoints'
var endpointCidr = ownVnet ? '10.61.4.0/24' : '10.60.4.0/24'
// Azure's public cloud; azurecr.us and azurecr.cn elsewhere.
var zoneName = 'privatelink${environment().suffixes.acrLoginServer}'
var networkContributor = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '4d97b98b-1d4f-4787-a291-c67834d212e7')
var workload = pullIdentity == 'workload'
// Container Registry Repository Reader, or AcrPull.
var pullRoleId = abac ? 'b93aa761-3e63-49ed-ac28-beffa264f7ac' : '7f951dda-4ed3-4680-a7ca-43fe172d538d'
var pullRole = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', pullRoleId)
var nodeSubnet = [
  {
    name: 'nodes'
    properties: {
      addressPrefix: '10.60.0.0/22'
    }
  }
]
var endpointSubnet = [
  {
    name: endpointSubnetName
    properties: {
      addressPrefix: endpointCidr
    }
  }
]

resource clusterVnet 'Microsoft.Network/virtualNetworks@2024-05-01' = {
  name: clusterVnetName
  location: location
  properties: {
    addressSpace: {
      addressPrefixes: [
        '10.60.0.0/16'
      ]
    }
    subnets: ownVnet ? nodeSubnet : concat(nodeSubnet, endpointSubnet)
  }
}

resource registryVnet 'Microsoft.Network/virtualNetworks@2024-05-01' = if (ownVnet) {
  name: registryVnetName
  location: location
  properties: {
    addressSpace: {
      addressPrefixes: [
        '10.61.0.0/16'
      ]
    }
    subnets: endpointSubnet
  }
}

resource toRegistry 'Microsoft.Network/virtualNetworks/virtualNetworkPeerings@2024-05-01' = if (ownVnet) {
  parent: clusterVnet
  name: 'to-registry'
  properties: {
    allowVirtualNetworkAccess: true
    remoteVirtualNetwork: {
      id: registryVnet.id
    }
  }
}

resource toCluster 'Microsoft.Network/virtualNetworks/virtualNetworkPeerings@2024-05-01' = if (ownVnet) {
  parent: registryVnet
  name: 'to-cluster'
  properties: {
    allowVirtualNetworkAccess: true
    remoteVirtualNetwork: {
      id: clusterVnet.id
    }
  }
}

// The cluster's identity must be allowed to join an existing VNet before the cluster is created.
resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${clusterName}-identity'
  location: location
}

resource joinsVnet 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(clusterVnet.id, identity.id, networkContributor)
  scope: clusterVnet
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: networkContributor
  }
}

resource cluster 'Microsoft.ContainerService/managedClusters@2025-05-01' = {
  name: clusterName
  location: location
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identity.id}': {}
    }
  }
  properties: {
    dnsPrefix: clusterName
    // Always enabled, because it cannot be disabled again.
    oidcIssuerProfile: {
      enabled: true
    }
    securityProfile: {
      workloadIdentity: {
        enabled: workload
      }
    }
    apiServerAccessProfile: {
      enablePrivateCluster: true
    }
    networkProfile: {
      networkPlugin: 'azure'
      networkPluginMode: 'overlay'
      podCidr: '192.168.0.0/16'
    }
    agentPoolProfiles: [
      {
        name: 'system'
        mode: 'System'
        count: nodeCount
        vmSize: nodeSize
        osType: 'Linux'
        vnetSubnetID: '${clusterVnet.id}/subnets/nodes'
      }
    ]
  }
  dependsOn: [
    joinsVnet
  ]
}

resource registry 'Microsoft.ContainerRegistry/registries@2025-11-01' = {
  name: registryName
  location: location
  sku: {
    name: 'Premium'
  }
  properties: {
    adminUserEnabled: false
    dataEndpointEnabled: true
    publicNetworkAccess: publicAccess ? 'Enabled' : 'Disabled'
    roleAssignmentMode: abac ? 'AbacRepositoryPermissions' : 'LegacyRegistryPermissions'
  }
}

resource zone 'Microsoft.Network/privateDnsZones@2024-06-01' = {
  name: zoneName
  location: 'global'
}

resource clusterLink 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = {
  parent: zone
  name: 'cluster'
  location: 'global'
  properties: {
    registrationEnabled: false
    virtualNetwork: {
      id: clusterVnet.id
    }
  }
}

resource registryLink 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = if (ownVnet) {
  parent: zone
  name: 'registry'
  location: 'global'
  properties: {
    registrationEnabled: false
    virtualNetwork: {
      id: registryVnet.id
    }
  }
}

resource endpoint 'Microsoft.Network/privateEndpoints@2024-05-01' = {
  name: '${registryName}-endpoint'
  location: location
  properties: {
    subnet: {
      id: '${ownVnet ? registryVnet.id : clusterVnet.id}/subnets/${endpointSubnetName}'
    }
    privateLinkServiceConnections: [
      {
        name: registryName
        properties: {
          privateLinkServiceId: registry.id
          groupIds: [
            'registry'
          ]
        }
      }
    ]
  }
}

resource zoneGroup 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-05-01' = {
  parent: endpoint
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [
      {
        name: 'registry'
        properties: {
          privateDnsZoneId: zone.id
        }
      }
    ]
  }
}

resource scopeMap 'Microsoft.ContainerRegistry/registries/scopeMaps@2023-07-01' = {
  parent: registry
  name: 'canary-pull'
  properties: {
    description: 'Pull of the canary image, and nothing else'
    actions: [
      'repositories/${repository}/content/read'
    ]
  }
}

resource token 'Microsoft.ContainerRegistry/registries/tokens@2023-07-01' = if (createToken) {
  parent: registry
  name: tokenName
  properties: {
    scopeMapId: scopeMap.id
    status: 'enabled'
  }
}

resource agentIdentity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = if (workload) {
  name: 'acr-verifier'
  location: location
}

resource federatedCredential 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2023-01-31' = if (workload) {
  parent: agentIdentity
  name: 'acr-verifier'
  properties: {
    issuer: cluster.properties.oidcIssuerProfile.issuerURL
    subject: 'system:serviceaccount:${agentNamespace}:${agentServiceAccount}'
    audiences: [
      'api://AzureADTokenExchange'
    ]
  }
}

resource pulls 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (pullIdentity != 'none') {
  name: guid(registry.id, clusterName, pullIdentity, pullRole)
  scope: registry
  properties: {
    principalId: workload ? agentIdentity.properties.principalId : cluster.properties.identityProfile.kubeletidentity.objectId
    principalType: 'ServicePrincipal'
    roleDefinitionId: pullRole
  }
}

@description('Name of the cluster, for az aks get-credentials.')
output clusterName string = cluster.name

@description('Value config.images[0].image, with a tag.')
output image string = '${registry.properties.loginServer}/${repository}:1'

@description('Value config.images[0].privateEndpoint.cidrs.')
output privateEndpointCidrs array = [
  endpointCidr
]

@description('Value config.images[0].dataEndpoints.')
output dataEndpoints array = registry.properties.dataEndpointHostNames

@description('User name of the pull secret.')
output tokenName string = tokenName

@description('Client ID of the identity: for managedIdentity.clientId, or the annotation azure.workload.identity/client-id.')
output clientId string = workload ? agentIdentity.properties.clientId : cluster.properties.identityProfile.kubeletidentity.clientId
